//! Objects of S3: the body of one, streamed into a buffer with a bound.
//!
//! Why one can't be had is told by what the caller does next. There is deliberately no listing and no look at an object's
//! kind: a notice names it, `decode` tells what it holds.

use std::future::Future;

use aws_sdk_s3::error::SdkError;
use outflow_core::limits::OBJECT_BYTES_MAX;

/// Why an object can't be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is none, or no such bucket. It may come: notices overtake.
    #[error("the object does not exist")]
    Missing,
    /// We may not read it; without the right to list a bucket, S3 says so of missing ones, too.
    #[error("reading the object is not allowed, or it does not exist")]
    Denied,
    /// Over [`OBJECT_BYTES_MAX`].
    #[error("the object has more than {} MiB: no file of a trail is so large", OBJECT_BYTES_MAX >> 20)]
    TooLarge,
    /// S3 can't be reached, or broke off.
    #[error("S3 can't be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where objects are.
pub trait Objects {
    /// Reads an object into the buffer.
    fn fetch(&self, bucket: &str, key: &str, buffer: &mut Vec<u8>) -> impl Future<Output = Result<(), FetchError>>;
}

impl Objects for aws_sdk_s3::Client {
    async fn fetch(&self, bucket: &str, key: &str, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        buffer.clear();
        let mut object = self.get_object().bucket(bucket).key(key).send().await.map_err(refused)?;
        let fits = |len: usize| if len > OBJECT_BYTES_MAX { Err(FetchError::TooLarge) } else { Ok(()) };
        fits(object.content_length().and_then(|len| usize::try_from(len).ok()).unwrap_or_default())?;
        while let Some(piece) = object.body.next().await {
            let piece = piece.map_err(|error| FetchError::Unavailable(error.into()))?;
            fits(buffer.len() + piece.len())?;
            buffer.extend_from_slice(&piece);
        }
        Ok(())
    }
}

fn refused<E: std::error::Error + Send + Sync + 'static>(error: SdkError<E>) -> FetchError {
    match error.raw_response().map(|response| response.status().as_u16()) {
        Some(404) => FetchError::Missing,
        Some(401 | 403) => FetchError::Denied,
        _ => FetchError::Unavailable(error.into()),
    }
}

/// No object at all: for feeds that bring their content along.
pub struct NoObjects;

impl Objects for NoObjects {
    async fn fetch(&self, _: &str, _: &str, _: &mut Vec<u8>) -> Result<(), FetchError> {
        Err(FetchError::Denied)
    }
}
