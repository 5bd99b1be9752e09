//! What other servers may read here, and what they may not.

mod answers;
mod directory;
mod hierarchy;
mod kinds;
mod leaks;
mod pretending;
mod spaces;
mod support;
