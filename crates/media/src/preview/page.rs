//! What a page says of itself.

use scraper::{ElementRef, Html, Selector};
use serde_json::Value;
use tokio::sync::oneshot;
use url::Url;
use vestibule_types::limits::{
    PREVIEW_ELEMENTS_MAX, PREVIEW_FIELDS_MAX, PREVIEW_PARSED_BYTES_MAX, PREVIEW_TEXT_CHARS_MAX,
    PREVIEW_URL_BYTES_MAX,
};

use super::{Preview, PreviewUrlError, charset::decode, fetch::Fetched};
use crate::Media;

/// What was found on a page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// What it says, by `OpenGraph` name.
    pub(super) fields: Preview,
    /// Its picture.
    pub(super) image: Option<Url>,
}

impl Media {
    /// Reads a page, away from the threads that serve requests.
    pub(super) async fn read_page(&self, found: Fetched) -> Result<Page, PreviewUrlError> {
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let html = decode(&found.reply.body, &found.content_type);
            // Nobody waits any more when the request has ended.
            let _unheard = answer.send(read(&html, &found.url));
        };
        let executor = &self.inner.parts.executor;
        executor.execute(Box::new(work)).map_err(|_| PreviewUrlError::Busy)?;
        // A reader that panicked read nothing.
        answered.await.map_err(|_| PreviewUrlError::Unreachable)
    }
}

/// Reads a page that lies at an address.
fn read(html: &str, url: &Url) -> Page {
    let html = Html::parse_document(&condensed(html));
    let mut page = Page::default();
    let metas = metas(&html);
    for (name, content) in &metas {
        // The picture is told as we keep it, with our own measures.
        let told = name.starts_with("og:") && !name.starts_with("og:image");
        if told && page.fields.len() < PREVIEW_FIELDS_MAX && !page.fields.contains_key(name) {
            page.fields.insert(name.clone(), Value::from(shortened(content)));
        }
    }
    let meta = |wanted: &str| {
        metas.iter().find(|(name, _)| name == wanted).map(|(_, content)| content.clone())
    };
    let fall_backs = [
        ("og:title", [meta("twitter:title"), text_of(&html, "title"), text_of(&html, "h1")]),
        (
            "og:description",
            [
                meta("twitter:description"),
                meta("description"),
                text_of(&html, "main p, article p, p"),
            ],
        ),
    ];
    for (name, candidates) in fall_backs {
        let found = candidates.into_iter().flatten().map(|text| shortened(&text));
        let found = found.into_iter().find(|text| !text.is_empty());
        if let Some(found) = found.filter(|_| !page.fields.contains_key(name)) {
            page.fields.insert(name.to_owned(), Value::from(found));
        }
    }
    let image = ["og:image:secure_url", "og:image", "og:image:url", "twitter:image"]
        .into_iter()
        .find_map(meta)
        .or_else(|| attribute(&html, "link[rel=image_src]", "href"));
    page.image = image
        .filter(|image| image.len() <= PREVIEW_URL_BYTES_MAX)
        .and_then(|image| url.join(image.trim()).ok());
    page
}

/// A page without what is for machines only, cut to what is read of it. What reading costs grows with
/// the square of how deep elements lie in each other, and of how many attributes one has.
fn condensed(html: &str) -> String {
    // Letters of ASCII keep their length and place.
    let small = html.to_ascii_lowercase();
    let mut short = String::new();
    let (mut at, mut elements) = (0, 0);
    while let Some(found) = small.get(at..).and_then(|rest| rest.find('<')) {
        let tag = at + found;
        let name = small.get(tag + 1..).unwrap_or_default();
        elements += usize::from(name.starts_with(|letter: char| letter.is_ascii_alphabetic()));
        let skipped = ["script", "style", "svg"].into_iter().find(|it| name.starts_with(it));
        let end = match skipped {
            Some(element) => {
                short.push_str(html.get(at..tag).unwrap_or_default());
                name.find(&format!("</{element}")).map_or(html.len(), |end| tag + 1 + end)
            }
            None => tag + 1,
        };
        let from = if skipped.is_some() { end } else { at };
        short.push_str(html.get(from..end).unwrap_or_default());
        at = end;
        if elements == PREVIEW_ELEMENTS_MAX || short.len() > PREVIEW_PARSED_BYTES_MAX {
            break;
        }
    }
    if elements < PREVIEW_ELEMENTS_MAX {
        short.push_str(html.get(at..).unwrap_or_default());
    }
    short.truncate(short.floor_char_boundary(PREVIEW_PARSED_BYTES_MAX));
    short
}

/// The names and contents of the `meta` elements that have both.
fn metas(html: &Html) -> Vec<(String, String)> {
    let Ok(selector) = Selector::parse("meta[content]") else { return Vec::new() };
    let named = |element: ElementRef<'_>| {
        let element = element.value();
        let name = element.attr("property").or_else(|| element.attr("name"))?;
        let content = element.attr("content").filter(|content| !content.trim().is_empty())?;
        Some((name.trim().to_ascii_lowercase(), content.trim().to_owned()))
    };
    html.select(&selector).filter_map(named).collect()
}

/// The text of the first element that has some.
fn text_of(html: &Html, selector: &str) -> Option<String> {
    let selector = Selector::parse(selector).ok()?;
    let texts = html.select(&selector).map(|element| {
        // Enough to be cut to what is kept.
        element.text().take(PREVIEW_TEXT_CHARS_MAX).collect::<String>()
    });
    texts.map(|text| shortened(&text)).find(|text| !text.is_empty())
}

fn attribute(html: &Html, selector: &str, name: &str) -> Option<String> {
    let selector = Selector::parse(selector).ok()?;
    html.select(&selector).find_map(|element| element.value().attr(name)).map(ToOwned::to_owned)
}

/// A text with single spaces, cut to what is kept.
fn shortened(text: &str) -> String {
    let mut short = String::new();
    let mut left = PREVIEW_TEXT_CHARS_MAX;
    for word in text.split_whitespace() {
        if left == 0 {
            break;
        }
        if !short.is_empty() {
            short.push(' ');
            left -= 1;
        }
        let before = short.len();
        short.extend(word.chars().take(left));
        left = left.saturating_sub(short.get(before..).unwrap_or_default().chars().count());
    }
    short.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Page {
        read(html, &Url::parse("https://example.org/dir/page").unwrap())
    }

    #[test]
    fn what_a_page_says_in_open_graph_is_told() {
        let page = page(
            "<html><head><title>Other</title>
            <meta property='og:title' content=' The  title '>
            <meta property='og:description' content='About &amp; more'>
            <meta property='og:type' content='article'>
            <meta property='og:image' content='../pictures/one.png'>
            <meta property='og:image:width' content='9999'>",
        );
        assert_eq!(page.fields["og:title"], "The title");
        assert_eq!(page.fields["og:description"], "About & more");
        assert_eq!(page.fields["og:type"], "article");
        assert!(!page.fields.keys().any(|name| name.starts_with("og:image")));
        assert_eq!(page.image.unwrap().as_str(), "https://example.org/pictures/one.png");
    }

    #[test]
    fn a_page_without_open_graph_is_told_by_what_it_shows() {
        let shown = page("<title>A page</title><body><p> </p><p>Some <b>words</b>.</p>");
        assert_eq!(shown.fields["og:title"], "A page");
        assert_eq!(shown.fields["og:description"], "Some words.");
        assert!(shown.image.is_none());
        let named = page("<meta name=description content=short><h1>Big</h1>");
        assert_eq!(named.fields["og:title"], "Big");
        assert_eq!(named.fields["og:description"], "short");
        let cards = page("<meta name='twitter:title' content=card><title>page</title>");
        assert_eq!(cards.fields["og:title"], "card");
        assert!(page("").fields.is_empty());
    }

    #[test]
    fn texts_and_fields_are_bounded() {
        let long = "word ".repeat(10_000);
        let many: Vec<String> = (0..1_000)
            .map(|number| format!("<meta property='og:x{number}' content='{long}'>"))
            .collect();
        let page = page(&(many.concat() + "<title>" + &long));
        assert!(page.fields.len() <= PREVIEW_FIELDS_MAX + 2);
        for text in page.fields.values() {
            assert!(text.as_str().unwrap().chars().count() <= PREVIEW_TEXT_CHARS_MAX);
        }
    }

    #[test]
    fn scripts_and_styles_are_passed_over() {
        let script = format!("<SCRIPT>{}</script>", "let a = '<meta>';".repeat(50_000));
        let style = format!("<style>{}</STYLE >", "p { }".repeat(50_000));
        let shown = page(&format!("<p>one{script}{style}<title>A page</title>"));
        assert_eq!(shown.fields["og:title"], "A page");
        assert_eq!(condensed("a<script>b</script>c<b>d</b>"), "a</script>c<b>d</b>");
        assert_eq!(condensed("a<script>never ends"), "a");
    }

    #[test]
    fn pages_that_would_take_long_are_cut() {
        let deep = format!("<title>deep</title>{}", "<div>".repeat(50_000));
        assert!(condensed(&deep).len() < 6 * PREVIEW_ELEMENTS_MAX);
        let attributes =
            (0..200_000_u32).fold(String::new(), |all, no| all + " a" + &no.to_string());
        let wide = format!("<title>wide</title><p{attributes}>");
        assert!(condensed(&wide).len() <= PREVIEW_PARSED_BYTES_MAX);
        assert_eq!(page(&deep).fields["og:title"], "deep");
    }
}
