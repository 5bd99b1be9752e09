//! The command line.
//!
//! Every command but `serve` and `config` is a question to the admin API. A running server answers
//! it over its local socket; otherwise the command opens the database itself and asks the same
//! router in this process. So both ways have the same checks and the same answers.

mod arguments;
mod ask;
mod config;
mod db;
mod door;
mod federation;
mod guest_link;
mod guests;
mod keys;
mod media;
mod notice;
mod output;
mod policy;
mod reports;
mod room;
mod serve;
mod simulate;
mod token;
mod user;

use std::process::ExitCode;

use clap::Parser;

use self::arguments::{Arguments, Command};

/// Runs the command that was asked for.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let file = arguments.config;
    let done = match arguments.command {
        Command::Serve => serve::run(&file),
        Command::Config(command) => config::run(&file, &command),
        Command::User(command) => user::run(&file, &command),
        Command::Notice(command) => notice::run(&file, command),
        Command::Token(command) => token::run(&file, &command),
        Command::GuestLink(command) => guest_link::run(&file, command),
        Command::Guests(command) => guests::run(&file, &command),
        Command::Alias(command) => door::alias(&file, &command),
        Command::Space(command) => door::space(&file, &command),
        Command::Policy(command) => policy::run(&file, &command),
        Command::Federation(command) => federation::run(&file, &command),
        Command::Media(command) => media::run(&file, &command),
        Command::Room(command) => room::run(&file, command),
        Command::Reports { limit } => reports::run(&file, limit),
        Command::Keys(command) => keys::run(&file, &command),
        Command::Db(command) => db::run(&file, &command),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            output::complain(&format!("vestibule: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
