//! Where the journal lies, which file it is, and whose settings count.

mod upgrade;
