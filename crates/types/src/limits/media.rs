//! Bounds of files that users upload.

use std::time::Duration;

/// The longest media id that is read. Ours have 24 characters.
pub const MEDIA_ID_BYTES_MAX: usize = 255;

/// The longest file name that is kept.
pub const MEDIA_NAME_BYTES_MAX: usize = 1_024;

/// The longest content type that is kept.
pub const MEDIA_TYPE_BYTES_MAX: usize = 1_024;

/// Files that are received at once, from all users together.
pub const MEDIA_UPLOADS_AT_ONCE_MAX: usize = 64;

/// Files that are received at once from one user.
pub const MEDIA_UPLOADS_PER_USER_MAX: usize = 8;

/// How fast a file comes at least, in bytes a second: slower ones hold the places of others.
pub const MEDIA_RATE_MIN: u64 = 2 * 1024;

/// How long a file may be slower than that from its beginning.
pub const MEDIA_RATE_GRACE: Duration = Duration::from_secs(45);

/// How long the next piece of an upload may take to arrive.
pub const MEDIA_UPLOAD_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long an upload may take altogether.
pub const MEDIA_UPLOAD_TIME_MAX: Duration = Duration::from_hours(1);

/// How long a media id that was made ahead of its file waits for it (client-server API, `POST
/// /_matrix/media/v1/create`).
pub const MEDIA_PENDING_LIFE: Duration = Duration::from_hours(24);

/// Media ids that one user may have made ahead of their files.
pub const MEDIA_PENDING_PER_USER_MAX: usize = 100;

/// How long a download may wait for a file that is not there yet.
pub const MEDIA_WAIT_MAX: Duration = Duration::from_mins(1);

/// How long a download waits for a file that is not there yet unless it says otherwise.
pub const MEDIA_WAIT_USUAL: Duration = Duration::from_secs(20);

/// How much of a file is read into memory at once.
pub const MEDIA_PIECE_BYTES: usize = 64 * 1024;

/// The largest image, in bytes, of which thumbnails are made.
pub const THUMBNAIL_SOURCE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The widest or highest image of which thumbnails are made.
pub const THUMBNAIL_SOURCE_SIDE_MAX: u32 = 16_384;

/// Pixels of the largest image of which thumbnails are made.
pub const THUMBNAIL_SOURCE_PIXELS_MAX: u64 = 40_000_000;

/// What decoding one image may take of memory.
pub const THUMBNAIL_DECODE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Frames of a moving image of which moving thumbnails are made.
pub const ANIMATION_FRAMES_MAX: usize = 200;

/// Pixels of all frames of such an image together.
pub const ANIMATION_SOURCE_PIXELS_MAX: u64 = 60_000_000;

/// Pixels of all frames of a moving thumbnail together.
pub const ANIMATION_MADE_PIXELS_MAX: u64 = 16_000_000;

/// Thumbnails that are made at once.
pub const THUMBNAILS_AT_ONCE_MAX: usize = 1;

/// Thumbnails that may wait to be made.
pub const THUMBNAILS_WAITING_MAX: usize = 64;

/// How long fetching a file from another server may take.
pub const MEDIA_FETCH_TIME_MAX: Duration = Duration::from_mins(5);

/// Files that are fetched from other servers at once. Of each, some pieces are in memory.
pub const MEDIA_FETCHES_AT_ONCE_MAX: usize = 16;

/// Files that are fetched from one other server at once.
pub const MEDIA_FETCHES_PER_SERVER_MAX: usize = 4;

/// Redirects that are followed to a file of another server.
pub const MEDIA_REDIRECTS_MAX: usize = 3;

/// Headers of one part of an answer with a file in it.
pub const MEDIA_PART_HEADERS_MAX: usize = 32;

/// Downloads that may wait for files of other servers.
pub const MEDIA_FETCHES_WAITING_MAX: usize = 256;

/// Downloads that may wait for files of one other server.
pub const MEDIA_FETCHES_WAITING_PER_SERVER_MAX: usize = 64;

/// The longest address of a web page that is read, in bytes.
pub const PREVIEW_URL_BYTES_MAX: usize = 4_096;

/// Redirects that are followed for a preview.
pub const PREVIEW_REDIRECTS_MAX: usize = 5;

/// How long making one preview may take, its picture included.
pub const PREVIEW_TIME_MAX: Duration = Duration::from_secs(20);

/// Previews that are made at once.
pub const PREVIEWS_AT_ONCE_MAX: usize = 8;

/// Requests that may wait for previews.
pub const PREVIEWS_WAITING_MAX: usize = 128;

/// Previews that are remembered.
pub const PREVIEWS_KEPT_MAX: u64 = 2_000;

/// How long a preview is remembered.
pub const PREVIEW_LIFE: Duration = Duration::from_hours(1);

/// How long it is remembered that there is none.
pub const PREVIEW_FAILURE_LIFE: Duration = Duration::from_mins(1);

/// How much of a page is taken apart, without its scripts and styles, in bytes.
pub const PREVIEW_PARSED_BYTES_MAX: usize = 128 * 1024;

/// Elements of a page that are looked at.
pub const PREVIEW_ELEMENTS_MAX: usize = 4_000;

/// Fields of a page that are told.
pub const PREVIEW_FIELDS_MAX: usize = 24;

/// The longest text of a field that is told, in characters.
pub const PREVIEW_TEXT_CHARS_MAX: usize = 1_000;

/// How long the picture of a preview is kept.
pub const PREVIEW_PICTURE_LIFE: Duration = Duration::from_hours(24 * 7);

/// Files that one purge takes away.
pub const MEDIA_PURGED_AT_ONCE_MAX: usize = 10_000;

/// Rows that a purge looks at in one step.
pub const MEDIA_PURGE_STRETCH: usize = 500;

/// How long a file is there at least before a purge removes it: its row may be on its way.
pub const MEDIA_PURGE_GRACE: Duration = Duration::from_mins(15);

/// Files on disk of which one purge looks whether a row leads to them.
pub const MEDIA_SWEPT_AT_ONCE_MAX: usize = 10_000;

/// Copies of files of other servers of which it is noted in memory that they were used.
pub const MEDIA_COPY_USES_MAX: usize = 50_000;

/// How exactly it is written down when a copy was used.
pub const MEDIA_COPY_USE_GRAIN: Duration = Duration::from_hours(1);

/// Files in one list for operators.
pub const MEDIA_LISTED_MAX: usize = 1_000;

/// What an answer with a file in it may have beside the file: boundaries, headers, the JSON part.
pub const MEDIA_ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// How long nobody looks again for room for files of other servers after there was none.
pub const MEDIA_ROOM_PAUSE: Duration = Duration::from_secs(10);
