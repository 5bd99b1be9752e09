//! The endpoints from before authenticated media (client-server API, "Content repository").

pub(crate) mod get_content;
pub(crate) mod get_content_as_filename;
pub(crate) mod get_content_thumbnail;
