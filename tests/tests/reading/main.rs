//! What other servers may read here, and what they may not.

mod pretending;
