//! The picture of a page. It is kept as a file of this server that counts for nobody, until it ends.

use std::io::Cursor;

use image::{ImageFormat, ImageReader};
use serde_json::Value;
use tokio::sync::oneshot;
use vestibule_storage::{
    SlotNo,
    tables::media::{MEDIA, PREVIEW_PICTURE_BY_TIME, StoredFile, StoredMedia},
};

use super::{Preview, PreviewUrlError, Previews, fetch::Fetched};
use crate::{Media, upload::ReceiveError};

/// A picture that is kept.
pub(super) struct Picture {
    address: String,
    content_type: &'static str,
    size: u64,
    width: u32,
    height: u32,
}

impl Picture {
    /// The picture as a preview tells it.
    pub(super) fn described(self) -> Preview {
        let mut told = Preview::new();
        told.insert("og:image".to_owned(), Value::from(self.address));
        told.insert("og:image:type".to_owned(), Value::from(self.content_type));
        told.insert("og:image:width".to_owned(), Value::from(self.width));
        told.insert("og:image:height".to_owned(), Value::from(self.height));
        told.insert("matrix:image:size".to_owned(), Value::from(self.size));
        told
    }
}

impl Media {
    /// Keeps a picture, if it is one.
    pub(super) async fn keep_preview_picture(
        &self,
        previews: &Previews,
        found: Fetched,
    ) -> Result<Option<Picture>, PreviewUrlError> {
        let body = found.reply.body;
        let too_large =
            u64::try_from(body.len()).map_or(true, |it| it > previews.settings.image_bytes_max);
        if found.cut || too_large {
            return Ok(None);
        }
        let (answer, answered) = oneshot::channel();
        let looked_at = body.clone();
        let work = move || {
            // Nobody waits any more when the request has ended.
            let _unheard = answer.send(measured(&looked_at));
        };
        let executor = &self.inner.parts.executor;
        executor.execute(Box::new(work)).map_err(|_| PreviewUrlError::Busy)?;
        let Ok(Some((content_type, width, height))) = answered.await else { return Ok(None) };
        let chunks = futures_util::stream::iter([Ok(body)]);
        let received =
            self.receive(Box::pin(chunks), previews.settings.image_bytes_max, &mut ()).await;
        let received = match received {
            Ok(received) => received,
            Err(ReceiveError::Disk(error)) => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(cause, "the picture of a preview cannot be kept");
                return Ok(None);
            }
            Err(ReceiveError::TooLarge | ReceiveError::TooSlow | ReceiveError::BrokenOff) => {
                return Ok(None);
            }
        };
        let id = self.fresh_name();
        let created_at = self.inner.parts.environment.now_ms();
        let row = StoredMedia {
            uploader: None,
            created_at,
            expires_at: None,
            quarantined: false,
            file: Some(StoredFile {
                digest: received.digest,
                size: received.size,
                content_type: Some(content_type.to_owned()),
                name: None,
            }),
        };
        let address = format!("mxc://{}/{id}", self.server_name());
        let server = self.server_name().to_owned();
        let put = move |tx: &mut vestibule_storage::Tx<'_>| {
            MEDIA.put(tx, (&*server, &*id), &row)?;
            PREVIEW_PICTURE_BY_TIME.put(tx, (created_at, &*id), &received.size)
        };
        let store = &self.inner.parts.store;
        store.write::<(), vestibule_storage::StorageError, _>(SlotNo(0), put).await?;
        Ok(Some(Picture { address, content_type, size: received.size, width, height }))
    }
}

/// What kind of picture these bytes are, and its sides; none if they are none that is kept.
fn measured(bytes: &[u8]) -> Option<(&'static str, u32, u32)> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let content_type = match reader.format()? {
        ImageFormat::Png => "image/png",
        ImageFormat::Jpeg => "image/jpeg",
        ImageFormat::Gif => "image/gif",
        ImageFormat::WebP => "image/webp",
        _ => return None,
    };
    let (width, height) = reader.into_dimensions().ok()?;
    Some((content_type, width, height))
}
