//! A run that stops itself, and files that are not what they seem.

mod files;
mod times;
