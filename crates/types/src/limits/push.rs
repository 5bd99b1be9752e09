//! What telling devices may cost.

use std::time::Duration;

/// Letters of a pattern of a push rule that has `*` or `?` in it.
pub const PUSH_PATTERN_LETTERS_MAX: usize = 127;

/// Relations that are followed to find the thread of an event (client-server API, "Push notifications").
pub const THREAD_HOPS_MAX: usize = 3;

/// Pushers one user may have.
pub const PUSHERS_PER_USER_MAX: usize = 32;

/// The longest pushkey, in bytes (client-server API, "Push notifications").
pub const PUSHKEY_BYTES_MAX: usize = 512;

/// The longest `app_id`, in bytes (client-server API, "Push notifications").
pub const APP_ID_BYTES_MAX: usize = 64;

/// The longest of the other texts of a pusher, and of its URL, in bytes.
pub const PUSHER_TEXT_BYTES_MAX: usize = 2_048;

/// The `data` of a pusher, as JSON text, in bytes: it travels with each notification.
pub const PUSHER_DATA_BYTES_MAX: usize = 8_192;

/// Users a pushkey may belong to at once.
pub const USERS_PER_PUSHKEY_MAX: usize = 32;

/// Notifications that wait for one pusher; older ones are dropped.
pub const PUSHES_WAITING_MAX: usize = 100;

/// How long a notification may wait. What a phone shows a day late helps nobody.
pub const PUSH_AGE_MAX: Duration = Duration::from_hours(24);

/// Pushers with a request under way at once.
pub const PUSHES_AT_ONCE_MAX: usize = 64;

/// The answer of a push gateway, in bytes.
pub const PUSH_ANSWER_BYTES_MAX: usize = 65_536;

/// The content of an event in a notification, in bytes: larger ones are left out.
pub const PUSH_CONTENT_BYTES_MAX: usize = 16_384;

/// How long a push gateway that failed is left alone at first. Doubled with each further failure.
pub const PUSH_RETRY_MIN: Duration = Duration::from_secs(1);

/// How long it is left alone at most.
pub const PUSH_RETRY_MAX: Duration = Duration::from_hours(1);

/// Lines of the log that are read in one go to find out whom they concern.
pub const PUSH_NEWS_MAX: usize = 500;

/// Commits after which it is noted that there was nothing in them to tell devices of.
pub const PUSH_TAIL_COMMITS_MAX: u64 = 20_000;

/// Notifications in one page.
pub const NOTIFICATIONS_PAGE_MAX: usize = 100;

/// Notifications in a page that asks for no number.
pub const NOTIFICATIONS_PAGE_USUAL: usize = 20;

/// Events that are looked at for one page of notifications.
pub const NOTIFICATIONS_EXAMINED_MAX: usize = 2_000;
