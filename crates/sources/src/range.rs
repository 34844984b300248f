//! Asking for the rest of an archive, and judging whether the answer is it. Leaves out what is done with the bytes (`transfer`).

use reqwest::Response;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, IF_RANGE, RANGE};

use crate::base::Target;
use crate::http::Validators;
use crate::part::{Origin, Part};

/// The question for the bytes after those that are there, if it can be asked.
pub(crate) fn rest_of(target: &Target, part: &Part, overlap: u64) -> Option<(u64, HeaderMap)> {
    let origin = part.origin();
    let mut headers = HeaderMap::new();
    let from = match origin.validators.for_range().map(HeaderValue::from_str) {
        Some(Ok(validator)) => {
            headers.insert(IF_RANGE, validator);
            part.length()
        }
        // Without a validator, some bytes come again and must be the same.
        _ => part.length().saturating_sub(overlap),
    };
    if from == 0 || origin.url != target.to_string() {
        return None;
    }
    headers.insert(RANGE, HeaderValue::from_str(&format!("bytes={from}-")).ok()?);
    Some((from, headers))
}

/// The question for the bytes of an archive from `from` to its end.
pub(crate) fn end_of(from: u64, origin: &Origin) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(RANGE, HeaderValue::from_str(&format!("bytes={from}-")).expect("a number is text"));
    if let Some(Ok(validator)) = origin.validators.for_range().map(HeaderValue::from_str) {
        headers.insert(IF_RANGE, validator);
    }
    headers
}

/// Says whether a 206 goes on where it was asked to, in the file that was begun.
pub(crate) fn continues(response: &Response, from: u64, begun: &Origin) -> bool {
    let headers = response.headers();
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).and_then(content_range);
    let Some((start, total)) = range else { return false };
    let now = Validators::of(headers);
    // A field that is missing on either side says nothing; `If-Range` was the server's to heed.
    let agrees = |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
    start == from
        && (total.is_none() || begun.total.is_none() || total == begun.total)
        && agrees(&now.etag, &begun.validators.etag)
        && agrees(&now.last_modified, &begun.validators.last_modified)
}

/// Reads `bytes 10-99/100`: the first byte, and the length of the whole if it is known.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::content_range;

    #[test]
    fn a_content_range_is_read_or_refused() {
        assert_eq!(content_range("bytes 10-99/100"), Some((10, Some(100))));
        assert_eq!(content_range("bytes 10-99/*"), Some((10, None)));
        for wrong in ["", "bytes", "bytes */100", "bytes 10-/100", "bytes 99-10/100", "bytes 0-100/100", "items 1-2/3"]
        {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }
}
