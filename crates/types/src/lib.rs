//! The ground floor: words every other crate shares.
//!
//! Nothing here performs I/O, reads a clock of its own, or knows about HTTP or storage. If a
//! type needs any of those, it belongs one floor up.

mod actor;
mod class;
mod environment;
mod glob;
mod json_depth;
pub mod limits;
mod room_no;
mod secret;
mod segment;
pub mod watch;

pub use self::{
    actor::{Actor, Credential},
    class::ClassName,
    environment::{BoxFuture, Clock, Environment, Random, Spawner},
    glob::Glob,
    json_depth::json_depth,
    room_no::{EventNo, RoomNo},
    secret::Secret,
    segment::segment,
};
