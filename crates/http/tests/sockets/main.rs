//! The whole crate over real sockets.

#[cfg(test)]
mod listeners;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod support;
