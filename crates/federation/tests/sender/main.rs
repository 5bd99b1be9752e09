//! What other servers are told, and what telling them costs: over a wire that a test holds in its
//! hands, with a clock that it moves.

mod catching_up;
mod outbox;
mod rig;
mod telling;
