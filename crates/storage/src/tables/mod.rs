//! Every table, by noun. Numbers and names are used once, ever: ranges are 0x00 for what the
//! database says of itself, 0x01 accounts, 0x02 rooms, 0x03 the directory, 0x04 user data, 0x05
//! policy, 0x06 jobs, 0x07 federation, 0x08 end-to-end keys, 0x09
//! media. A new table is also listed in
//! `registry.rs`, so that it can be checked.

pub mod account;
pub mod contact;
pub mod cross_signing;
pub mod dehydrated;
pub mod destination;
pub mod device_key;
pub mod device_list;
pub mod directory;
pub mod exchange;
pub mod guest_token;
pub mod handshake;
pub mod history;
pub mod job;
pub mod key_backup;
pub mod login_token;
pub mod media;
pub mod meta;
pub mod moderation;
pub mod notice;
pub mod one_time_key;
pub mod openid;
pub mod policy;
pub mod presence;
pub mod push;
pub mod relation;
pub mod report;
pub mod room;
pub mod search;
pub mod sender;
pub mod server_key;
pub mod signing_key;
pub mod sliding;
pub mod staging;
pub mod to_device;
pub mod user_data;
