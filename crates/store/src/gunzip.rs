//! Inflates exactly one gzip member and nothing beside it. Knows nothing of what is inside.

use std::io::{self, BufRead as _, BufReader, Read};

use flate2::bufread::GzDecoder;
use govern_core::proof;

use crate::plan::{MAX_RATIO, RATIO_FREE};
use crate::refusal::Refusal;
use crate::unpack::{BUFFER, Fault, Tap, refuse};

/// The bytes inside a gzip file. Errors are the caller's own, or carry a [`Refusal`].
///
/// They are inflated [`BUFFER`] by [`BUFFER`]: asked for no more than a small file's bytes at once, the decoder is slow.
pub(crate) struct Gunzip<'a>(BufReader<Member<'a>>);

impl<'a> Gunzip<'a> {
    pub(crate) fn new(archive: &'a mut dyn Read, limit: u64) -> Gunzip<'a> {
        let tap = BufReader::with_capacity(BUFFER, Tap::new(archive, limit));
        let member = Member { decoder: GzDecoder::new(tap), produced: 0 };
        Gunzip(BufReader::with_capacity(BUFFER, member))
    }

    /// Checks that nothing follows, and gives length and digest of the whole archive.
    pub(crate) fn finish(mut self) -> Result<(u64, proof::Sha256), Fault> {
        // Reading up to the end is what checks the sum and the length at the end of the member.
        if !self.0.fill_buf()?.is_empty() {
            return Err(Fault::archive(Refusal::Trailing));
        }
        let mut rest = self.0.into_inner().decoder.into_inner();
        match rest.fill_buf()? {
            [] => Ok(rest.into_inner().finish()),
            [0x1f, 0x8b, ..] => Err(Fault::archive(Refusal::SecondMember)),
            _ => Err(Fault::archive(Refusal::Trailing)),
        }
    }
}

impl Read for Gunzip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

struct Member<'a> {
    decoder: GzDecoder<BufReader<Tap<&'a mut dyn Read>>>,
    produced: u64,
}

impl Read for Member<'_> {
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::Gunzip;
    use crate::refusal::Refusal;
    use crate::unpack::Fault;

    #[test]
    fn an_archive_that_does_not_end_is_cut_off() {
        let mut gz = GzEncoder::new(Vec::new(), Compression::none());
        gz.write_all(&vec![7; 1 << 20]).unwrap();
        let archive = gz.finish().unwrap();
        let unpack = |limit: usize| {
            let mut bytes = &archive[..];
            let mut stream = Gunzip::new(&mut bytes, limit as u64);
            stream.read_to_end(&mut Vec::new()).map_err(Fault::from).and_then(|_| stream.finish())
        };
        assert!(unpack(archive.len()).is_ok());
        let limit = archive.len() - 1;
        match unpack(limit) {
            Err(Fault::Refused { reason, .. }) => assert_eq!(reason, Refusal::ArchiveTooLarge(limit as u64)),
            other => panic!("{other:?}"),
        }
    }
}
