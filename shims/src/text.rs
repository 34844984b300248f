//! Strings as the kernel takes and gives them, and the space to build new ones in. No meaning.

#![expect(unsafe_code, reason = "a string that ends with a zero byte has to be read to know its length")]

use core::ffi::c_char;
use core::marker::PhantomData;
use core::mem;
use core::ptr::NonNull;
use core::slice;

/// A string that ends with a zero byte: one pointer, so that `[Option<Text>]` has the layout that `execve` takes.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Text<'a> {
    /// Points at bytes of which one is zero, valid for `'a`.
    start: NonNull<c_char>,
    owner: PhantomData<&'a [u8]>,
}

impl<'a> Text<'a> {
    /// Takes bytes whose last is zero.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Text<'a>> {
        (bytes.last() == Some(&0)).then(|| Text { start: NonNull::from(bytes).cast(), owner: PhantomData })
    }

    /// The string at an address, unless that is null.
    ///
    /// # Safety
    /// There are bytes of which one is zero, valid for `'a`.
    #[cfg(bare)]
    pub(crate) unsafe fn at(address: usize) -> Option<Text<'a>> {
        let start = NonNull::new(core::ptr::with_exposed_provenance_mut(address))?;
        Some(Text { start, owner: PhantomData })
    }

    /// The bytes before the zero.
    pub(crate) fn bytes(self) -> &'a [u8] {
        let start = self.start.cast::<u8>().as_ptr();
        let mut len = 0;
        // SAFETY: nothing behind the zero byte is read.
        while unsafe { *start.add(len) } != 0 {
            len += 1;
        }
        // SAFETY: these bytes were just read, and are valid for 'a.
        unsafe { slice::from_raw_parts(start, len) }
    }

    /// Says whether this is `NAME=value` of the given name. Reads no further than the first difference.
    pub(crate) fn is_variable(self, name: &[u8]) -> bool {
        let start = self.start.cast::<u8>().as_ptr();
        for (at, byte) in name.iter().enumerate() {
            // SAFETY: all bytes before this one were equal to bytes of the name, and not zero.
            if *byte == 0 || unsafe { *start.add(at) } != *byte {
                return false;
            }
        }
        // SAFETY: as above; the zero byte may be this one, but not one before it.
        !name.is_empty() && unsafe { *start.add(name.len()) } == b'='
    }

    pub(crate) fn as_ptr(self) -> *const c_char {
        self.start.as_ptr()
    }
}

/// Space for new strings, used up from its front.
pub(crate) struct Arena<'a>(&'a mut [u8]);

impl<'a> Arena<'a> {
    pub(crate) fn new(space: &'a mut [u8]) -> Arena<'a> {
        Arena(space)
    }

    /// Makes a string of the pieces one after the other; `None` when the space is used up.
    pub(crate) fn text(&mut self, pieces: &[&[u8]]) -> Option<Text<'a>> {
        Text::new(self.joined(&[pieces, &[b"\0"]])?)
    }

    /// The pieces one after the other, without a zero byte.
    pub(crate) fn bytes(&mut self, pieces: &[&[u8]]) -> Option<&'a [u8]> {
        self.joined(&[pieces])
    }

    /// Lets `write` fill the space that is left, and keeps as many bytes as it says that it wrote.
    pub(crate) fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<&'a [u8]> {
        let len = write(self.0).filter(|len| *len <= self.0.len())?;
        let (new, rest) = mem::take(&mut self.0).split_at_mut_checked(len)?;
        self.0 = rest;
        Some(new)
    }

    fn joined(&mut self, lists: &[&[&[u8]]]) -> Option<&'a [u8]> {
        self.fill(|space| {
            let mut len = 0;
            for piece in lists.iter().copied().flatten() {
                space.get_mut(len..)?.get_mut(..piece.len())?.copy_from_slice(piece);
                len += piece.len();
            }
            Some(len)
        })
    }
}

/// A list of strings as `execve` takes it, ended by a `None`.
pub(crate) type List<'a> = [Option<Text<'a>>];

/// Builds a [`List`] in a given table.
pub(crate) struct ListBuilder<'a> {
    table: &'a mut List<'a>,
    len: usize,
}

impl<'a> ListBuilder<'a> {
    pub(crate) fn new(table: &'a mut List<'a>) -> ListBuilder<'a> {
        ListBuilder { table, len: 0 }
    }

    /// Adds one entry; `None` when the table is full.
    pub(crate) fn push(&mut self, text: Text<'a>) -> Option<()> {
        *self.table.get_mut(self.len)? = Some(text);
        self.len += 1;
        Some(())
    }

    /// Ends the list.
    pub(crate) fn finish(self) -> Option<&'a List<'a>> {
        *self.table.get_mut(self.len)? = None;
        self.table.get(..=self.len)
    }
}

/// The digits of a number.
pub(crate) fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    digits.get(digits.len() - used..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Arena, Text, decimal};

    #[test]
    fn a_number_has_its_digits() {
        let mut digits = [0; 10];
        assert_eq!(decimal(0, &mut digits), b"0");
        assert_eq!(decimal(40, &mut digits), b"40");
        assert_eq!(decimal(u32::MAX, &mut digits), b"4294967295");
    }

    #[test]
    fn a_variable_is_known_by_its_whole_name() {
        let check = |entry: &[u8], name: &[u8], expected| {
            let entry = Text::new(entry).unwrap();
            assert_eq!(entry.is_variable(name), expected, "{:?} {:?}", entry.bytes(), name);
        };
        check(b"PATH=/bin\0", b"PATH", true);
        check(b"PATH=\0", b"PATH", true);
        check(b"PATH\0", b"PATH", false);
        check(b"PATHS=/bin\0", b"PATH", false);
        check(b"PAT\0", b"PATH", false);
        check(b"\0", b"PATH", false);
        check(b"=x\0", b"", false);
        check(b"A\0B=\0", b"A\0B", false);
    }

    #[test]
    fn an_arena_gives_what_fits_and_nothing_after() {
        let mut space = [b'x'; 8];
        let mut arena = Arena::new(&mut space);
        let first = arena.text(&[b"ab", b"", b"c"]).unwrap();
        let second = arena.bytes(&[b"de"]).unwrap();
        assert_eq!((first.bytes(), second), (&b"abc"[..], &b"de"[..]));
        assert!(arena.text(&[b"fg"]).is_none());
        // What did not fit has taken nothing.
        assert_eq!(arena.text(&[b"f"]).unwrap().bytes(), b"f");
        assert!(arena.fill(|_| Some(1)).is_none());
        assert!(Text::new(b"no zero").is_none());
    }
}
