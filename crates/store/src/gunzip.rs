//! Inflates exactly one gzip member and nothing beside it. Knows nothing of what is inside.

use std::io::{self, BufRead as _, BufReader, Read};

use flate2::bufread::GzDecoder;
use govern_core::proof;

use crate::refusal::Refusal;
use crate::unpack::{BUFFER, Fault, Tap, refuse};

/// How much may come out for each byte that went in; an SDK has 3 to 4, its worst single file 780.
const MAX_RATIO: u64 = 100;
/// What may come out before the ratio counts.
const RATIO_FREE: u64 = 16 << 20;

/// The bytes inside a gzip file. Errors are the caller's own, or carry a [`Refusal`].
pub(crate) struct Gunzip<'a> {
    decoder: GzDecoder<BufReader<Tap<&'a mut dyn Read>>>,
    produced: u64,
}

impl<'a> Gunzip<'a> {
    pub(crate) fn new(archive: &'a mut dyn Read, limit: u64) -> Gunzip<'a> {
        let tap = BufReader::with_capacity(BUFFER, Tap::new(archive, limit));
        Gunzip { decoder: GzDecoder::new(tap), produced: 0 }
    }

    /// Checks that nothing follows, and gives length and digest of the whole archive.
    pub(crate) fn finish(mut self) -> Result<(u64, proof::Sha256), Fault> {
        // Reading up to the end is what checks the sum and the length at the end of the member.
        if self.read(&mut [0])? != 0 {
            return Err(Fault::archive(Refusal::Trailing));
        }
        let mut rest = self.decoder.into_inner();
        match rest.fill_buf()? {
            [] => Ok(rest.into_inner().finish()),
            [0x1f, 0x8b, ..] => Err(Fault::archive(Refusal::SecondMember)),
            _ => Err(Fault::archive(Refusal::Trailing)),
        }
    }
}

impl Read for Gunzip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.decoder.read(buffer) {
            Ok(read) => read,
            Err(error) if self.decoder.get_ref().get_ref().has_failed() => return Err(error),
            Err(_) if self.decoder.header().is_none() && self.produced == 0 => return Err(refuse(Refusal::NotGzip)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(refuse(Refusal::Truncated)),
            Err(_) => return Err(refuse(Refusal::Damaged)),
        };
        self.produced += read as u64;
        let allowed = RATIO_FREE + MAX_RATIO * self.decoder.get_ref().get_ref().bytes();
        if self.produced > allowed {
            return Err(refuse(Refusal::Bomb(MAX_RATIO)));
        }
        Ok(read)
    }
}
