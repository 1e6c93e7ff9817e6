//! A run that stops itself, and files that are not what they seem.

mod canary;
mod files;
mod stop_when;
mod test_to;
mod times;
