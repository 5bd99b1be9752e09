//! Telling devices of news (client-server API, "Push notifications").
//!
//! *Rules* say whether an event is worth telling a user ([`Rules`]). *Counts* say how much of that is
//! unread ([`Unread`]): they are worked out when somebody asks, on the snapshot they are asked on, so
//! that whoever sees an event sees it counted, and a send costs nothing for it. *Pushers* are told
//! without asking ([`Push`]): one task follows the published log, looks for users with pushers whom an
//! event concerns, and queues it; a task per pusher with something to tell calls its push gateway, one
//! request after the other.
//!
//! *What survives.* What waits for a pusher, and how its gateway is doing, are rows. The place in the
//! log is written after what was found before it: after a crash an event may be told twice, and never
//! not at all.

mod deliver;
mod follow;
mod notifications;
mod pusher;
mod rules;
mod service;
mod unread;

pub use self::{
    notifications::{ListNotifications, Notification, NotificationPage, NotificationsError},
    pusher::{DeletePusher, SetPusher, SetPusherError, ShownPusher},
    rules::{Own, Rules},
    service::{Push, PushConfig, PushParts},
    unread::{Asked, Fresh, Looks, Standing, Tally, Unread, UnreadCounts},
};
