//! What a service said when it refused, in one line.
//!
//! The SDK's own words can hold a whole answer, and with it a secret; so only the code and the message are told, which services
//! write for people. Deliberately absent: whether to try again, which the SDK decided before.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Code and message, or how the request failed.
pub(crate) fn why<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::ServiceError(context) => {
            let (code, message) = (context.err().code().unwrap_or("unknown error"), context.err().message().unwrap_or_default());
            format!("{code} {message}").trim_end().to_owned()
        }
        SdkError::TimeoutError(_) => "timeout".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "timeout".to_owned(),
        SdkError::DispatchFailure(_) => "no connection".to_owned(),
        SdkError::ResponseError(_) => "the answer can't be read".to_owned(),
        _ => "the request can't be made".to_owned(),
    }
}
