//! Campaign files through the program itself: what is refused and in which words, what is kept, and that a refusal leaves
//! nothing behind. Tests are named after the fault that they show.
mod append;
mod cancelled;
mod contents;
mod desk;
mod formats;
mod kept;
mod money;
mod people;
mod preview;
mod refused;
mod torn;
