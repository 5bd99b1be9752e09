//! Facts about end-to-end keys, over stores of one slot and of several.

mod backups;
mod claims;
mod lists;
mod reach;
mod signing;
mod support;
mod uploads;
