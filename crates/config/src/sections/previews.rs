//! `[previews]`

use crate::{Network, section::section};

section! {
    /// Previews of web pages that clients show beside links. The pages are fetched by this server, so their
    /// sites see its address. Who may have them made: classes with `preview_url`, guests not.
    pub struct Previews {
        /// Whether previews are made.
        pub enabled: bool = false;
        /// The only hosts that are asked, as patterns with `*` and `?`. Empty: all.
        pub allowed_hosts: Vec<String> = Vec::new();
        /// Hosts that are never asked, as the same patterns. Wins over `allowed_hosts`.
        pub denied_hosts: Vec<String> = Vec::new();
        /// Addresses or networks that are asked although they are private. Names and redirects that lead to any
        /// other private address are not followed.
        pub allowed_networks: Vec<Network> = Vec::new();
        /// How much of a page is read, in bytes.
        pub page_bytes_max: u64 = 1024 * 1024;
        /// The largest picture that is kept, in bytes. Pictures of previews are kept for a week.
        pub image_bytes_max: u64 = 5 * 1024 * 1024;
        /// Which languages pages are asked in, as in an `Accept-Language` header.
        pub languages: Option<String> = None, example "\"en, de;q=0.8\"";
    }
}
