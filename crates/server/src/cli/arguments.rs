//! What may be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A Matrix homeserver that lets guests in only where a door is open.
#[derive(Debug, Parser)]
#[command(name = "vestibule", version, propagate_version = true)]
pub(super) struct Arguments {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "VESTIBULE_CONFIG",
        default_value = vestibule_config::DEFAULT_FILE
    )]
    pub(super) config: PathBuf,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server.
    Serve,
    /// Check the configuration, or write an example of it.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make and change accounts.
    #[command(subcommand)]
    User(UserCommand),
    /// Say something to users, as the server.
    #[command(subcommand)]
    Notice(NoticeCommand),
    /// Registration tokens: invitations to make an account.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Guest links: secrets that open one room to so many guests.
    #[command(subcommand)]
    GuestLink(GuestLinkCommand),
    /// Switch guests off and on.
    #[command(subcommand)]
    Guests(GuestsCommand),
    /// Vouch for an alias that somebody else made.
    #[command(subcommand)]
    Alias(AliasCommand),
    /// Vouch for a space's child that somebody else added.
    #[command(subcommand)]
    Space(SpaceCommand),
    /// Ask the policy what it allows, and why.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// See how other servers are reached.
    #[command(subcommand)]
    Federation(FederationCommand),
    /// Look after files: those of this server, and copies of those of others.
    #[command(subcommand)]
    Media(MediaCommand),
    /// Look after rooms.
    #[command(subcommand)]
    Room(RoomCommand),
    /// List what people told the operators about, newest first.
    Reports {
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// The keys this server signs with.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Look after the database.
    #[command(subcommand)]
    Db(DbCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say everything that is wrong with the file. Fails if anything is.
    Check,
    /// Write a file with every key, its meaning and its default to standard output.
    Example,
}

#[derive(Debug, Subcommand)]
pub(super) enum RoomCommand {
    /// Let nobody of this server be in a room: who is in it leaves, and nobody joins or is invited.
    Block {
        /// The room's id, also of one this server is not in, or an alias of ours.
        room: String,
    },
    /// Let people of this server into a room again.
    Unblock {
        /// The room's id, or an alias of ours.
        room: String,
    },
    /// Take the content from a room's old messages, for good, as redacting each of them would. State stays.
    PurgeHistory {
        /// The room's id, or an alias of ours.
        room: String,
        /// What was sent so long ago or longer, for example 90d.
        #[arg(long, value_name = "PERIOD")]
        before: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum NoticeCommand {
    /// Send a notice: to one user, or to everybody but guests.
    #[command(group = clap::ArgGroup::new("whom").required(true))]
    Send {
        /// A localpart, or a full user id of this server.
        #[arg(long, group = "whom", value_name = "USER")]
        to: Option<String>,
        /// Everybody.
        #[arg(long, group = "whom")]
        all: bool,
        /// A limit of the server was reached, and this address (a URI) can help: the notice stays pinned.
        #[arg(long, value_name = "CONTACT")]
        usage_limit: Option<String>,
        /// The words.
        text: String,
    },
    /// Take down what is pinned in a user's room of notices.
    Unpin {
        /// A localpart, or a full user id of this server.
        user: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make an account. The password is read from standard input.
    Create {
        /// A localpart, or a full user id of this server.
        name: String,
        /// The class of the account. Without it: what the policy gives to new accounts.
        #[arg(long)]
        class: Option<String>,
    },
    /// Change a password; it is read from standard input. Sessions end.
    Password {
        /// A localpart, or a full user id of this server.
        name: String,
        /// Let the person stay logged in where they are.
        #[arg(long)]
        keep_sessions: bool,
    },
    /// Give an account another class, at once and for live sessions too.
    Class {
        /// A localpart, or a full user id of this server.
        name: String,
        /// The new class.
        class: String,
    },
    /// Lock an account: it may only log out until it is unlocked.
    Lock {
        /// A localpart, or a full user id of this server.
        name: String,
    },
    /// Unlock an account; its sessions go on.
    Unlock {
        /// A localpart, or a full user id of this server.
        name: String,
    },
    /// Suspend an account: it may read and leave, and not write.
    Suspend {
        /// A localpart, or a full user id of this server.
        name: String,
    },
    /// Take a suspension off.
    Unsuspend {
        /// A localpart, or a full user id of this server.
        name: String,
    },
    /// End an account for good: it is logged out everywhere and leaves its rooms. Its name stays taken.
    Deactivate {
        /// A localpart, or a full user id of this server.
        name: String,
        /// Forget the person as well: profile, files, and their messages for whoever comes later.
        #[arg(long)]
        erase: bool,
    },
    /// List who was locked, unlocked, suspended, freed and deactivated, by whom and when.
    Moderation {
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// List accounts.
    List {
        /// Only those of this class.
        #[arg(long)]
        class: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum AliasCommand {
    /// Let an alias open doors as if an admin had made it.
    Adopt {
        /// The alias.
        alias: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum SpaceCommand {
    /// Let a child count that somebody who is no curator added first.
    Approve {
        /// The room id of the space.
        space: String,
        /// The room id of the child.
        child: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum GuestsCommand {
    /// Let no guest in or speak from now on, also after a restart.
    Off {
        /// Also put out everybody who is there, and end them.
        #[arg(long)]
        evict: bool,
    },
    /// Let the configuration decide again.
    On,
    /// Say whether guests are let in, and how many there are.
    Status,
}

#[derive(Debug, Subcommand)]
pub(super) enum GuestLinkCommand {
    /// Make a guest link and print its token, once.
    Create {
        /// The room's id, or an alias of this server.
        room: String,
        /// How many guests it lets in.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// How long it is good for: 12h, 7d. Then the door closes for those inside, too.
        #[arg(long, value_name = "PERIOD", default_value = "7d")]
        expires: String,
    },
    /// List guest links, without their tokens.
    List,
    /// Take a guest link back. Whoever came in by it only is frozen or put out, as the policy says.
    Revoke {
        /// The link's id, as `list` shows it.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a registration token.
    Create(NewToken),
    /// List registration tokens.
    List,
    /// Withdraw a registration token.
    Delete {
        /// The token.
        token: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct NewToken {
    /// The token itself; a random one when left out.
    pub(super) token: Option<String>,
    /// How many accounts it makes; as many as wanted when left out.
    #[arg(long)]
    pub(super) uses: Option<u64>,
    /// How long it is good for: 12h, 7d; for ever when left out.
    #[arg(long, value_name = "PERIOD")]
    pub(super) expires: Option<String>,
    /// The class of the accounts it makes.
    #[arg(long)]
    pub(super) class: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Say everything that is wrong or doubtful in the policy. Fails if anything is wrong.
    Check,
    /// Show each layer's answer, its evidence, and what would make it allowed.
    Explain {
        /// A localpart, or a full user id.
        user: String,
        /// What they want to do: join, knock, `send_event`, …
        action: String,
        /// The room's id or alias.
        room: String,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Try another policy on what was decided of late, and show what would flip. Changes nothing.
    Simulate {
        /// The configuration file with the other policy.
        #[arg(value_name = "NEW.toml")]
        new: PathBuf,
        /// How many examples of what would flip.
        #[arg(long, default_value_t = 10)]
        examples: usize,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the newest refusals.
    Denials {
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// List the rooms that are open to a class, and why.
    Rooms {
        /// The class.
        #[arg(long, default_value = "guest")]
        class: String,
    },
    /// List the rooms in which nobody is left who can change the power levels.
    Unmanaged,
}

#[derive(Debug, Subcommand)]
pub(super) enum FederationCommand {
    /// Find a server and ask it something, step by step. Fails if it cannot be talked to.
    Test {
        /// The server's name.
        server: String,
    },
    /// List the servers that do not answer, and when they are asked again.
    Destinations {
        /// How many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Ask a server again without waiting.
    Retry {
        /// The server's name.
        server: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum MediaCommand {
    /// List files, by server and id.
    List {
        /// Only those of this server.
        #[arg(long)]
        server: Option<String>,
        /// Only those that this user of ours uploaded, the first ones first.
        #[arg(long, conflicts_with = "server")]
        user: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Withhold a file from everybody.
    Quarantine {
        /// Its address: `mxc://server/id`.
        address: String,
    },
    /// Give a file that was withheld to everybody again.
    Release {
        /// Its address: `mxc://server/id`.
        address: String,
    },
    /// Take a file away for good, or all that a user uploaded. Its bytes go with the last id that has them.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Delete {
        /// Its address: `mxc://server/id`.
        #[arg(group = "which")]
        address: Option<String>,
        /// A localpart, or a full user id of this server.
        #[arg(long, group = "which", value_name = "NAME")]
        user: Option<String>,
    },
    /// Take away copies of files of other servers. What is wanted again is fetched again.
    Purge {
        /// Only copies fetched so long ago, or longer: `30d`.
        #[arg(long, value_name = "PERIOD")]
        older_than: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// List the key in use and those of before, which other servers still check old events with.
    List,
    /// Sign with a new key from the next start on.
    Rotate,
}

#[derive(Debug, Subcommand)]
pub(super) enum DbCommand {
    /// Read everything and say what does not fit together. Fails if anything does not.
    Check,
}
