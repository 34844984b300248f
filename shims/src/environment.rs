//! The environment of the next program: what a question tells of ours, and ours with an answer's edits. Pure.

use govern_wire::{Run, VARIABLES};

use crate::text::{Arena, List, ListBuilder, Text};

/// The variables that the daemon needs, as `NAME=value`. Of a name that is there twice the first, as Go reads it.
pub(crate) fn told<'a>(environment: &List<'a>) -> impl Iterator<Item = &'a [u8]> {
    const _: () = assert!(VARIABLES.len() <= 32, "one bit for each");
    let mut seen = 0_u32;
    environment.iter().flatten().filter_map(move |entry| {
        let at = VARIABLES.iter().position(|name| entry.is_variable(name.as_bytes()))?;
        let is_first = seen & (1 << at) == 0;
        seen |= 1 << at;
        is_first.then(|| entry.bytes())
    })
}

/// How long a table [`edited`] needs.
pub(crate) fn edited_len(environment: &List<'_>, run: &Run<'_>) -> usize {
    // One for PATH, which may be absent so far, and one for the end.
    environment.len() + run.set().count() + 2
}

/// The environment with the answer's edits. What they do not name stays as it is and where it is.
/// `None` when space or table are too small.
pub(crate) fn edited<'a>(
    environment: &List<'a>,
    run: &Run<'_>,
    space: &mut Arena<'a>,
    table: &'a mut List<'a>,
) -> Option<&'a List<'a>> {
    let mut edited = ListBuilder::new(table);
    let mut directory = run.append_path;
    for entry in environment.iter().copied().flatten() {
        let is_edited = |name: &[u8]| entry.is_variable(name);
        if run.unset().any(is_edited) || run.set().any(|(name, _)| is_edited(name)) {
            continue;
        }
        // Of two PATHs only the first counts, for Go as for execvp.
        match directory {
            Some(new) if entry.is_variable(b"PATH") => {
                edited.push(appended(entry, new, space)?)?;
                directory = None;
            }
            _ => edited.push(entry)?,
        }
    }
    for (name, value) in run.set() {
        edited.push(space.text(&[name, b"=", value])?)?;
    }
    if let Some(new) = directory {
        edited.push(space.text(&[b"PATH=", new])?)?;
    }
    edited.finish()
}

/// `PATH=…` with one more directory at its end, unless it is in there.
fn appended<'a>(entry: Text<'a>, directory: &[u8], space: &mut Arena<'a>) -> Option<Text<'a>> {
    let value = entry.bytes().strip_prefix(b"PATH=")?;
    if value.split(|byte| *byte == b':').any(|known| known == directory) {
        return Some(entry);
    }
    // An empty PATH has no entry: a colon before ours would make one, and it would mean the working directory.
    let colon: &[u8] = if value.is_empty() { b"" } else { b":" };
    space.text(&[entry.bytes(), colon, directory])
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;
    use std::{format, vec};

    use govern_wire::{Answer, RunWriter};

    use super::{Arena, Text, edited, edited_len, told};

    fn list(entries: &[String]) -> Vec<Option<Text<'_>>> {
        entries.iter().map(|entry| Text::new(entry.as_bytes())).chain([None]).collect()
    }

    fn zero_ended(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| format!("{entry}\0")).collect()
    }

    fn check(before: &[&str], edits: impl FnOnce(RunWriter<'_>) -> RunWriter<'_>, after: &[&str]) {
        let (mut frame, mut space) = (vec![0; 4096], vec![0; 4096]);
        let frame = edits(RunWriter::new(&mut frame, b"/go", None).unwrap()).finish().unwrap();
        let Ok(Answer::Run(run)) = Answer::decode(frame) else { panic!("no answer to run") };
        let entries = zero_ended(before);
        let environment = list(&entries);
        let mut table = vec![None; edited_len(&environment, &run)];
        let result = edited(&environment, &run, &mut Arena::new(&mut space), &mut table).unwrap();
        assert!(result.last().unwrap().is_none());
        let result: Vec<&str> =
            result.iter().flatten().map(|entry| std::str::from_utf8(entry.bytes()).unwrap()).collect();
        assert_eq!(result, after);
    }

    fn append(writer: RunWriter<'_>) -> RunWriter<'_> {
        writer.append_path(b"/l").expect("a short path fits")
    }

    #[test]
    fn without_edits_the_environment_is_the_same() {
        check(&["A=1", "B", "=C", "A=2", "PATH=/bin"], |w| w, &["A=1", "B", "=C", "A=2", "PATH=/bin"]);
    }

    #[test]
    fn a_variable_is_set_whether_it_was_there_or_not() {
        check(
            &["A=1", "B=1", "A=2", "AB=3"],
            |w| w.set(b"A", b"x=y").unwrap().set(b"C", b"").unwrap(),
            &["B=1", "AB=3", "A=x=y", "C="],
        );
    }

    #[test]
    fn a_variable_is_removed_wherever_it_is() {
        check(
            &["GOROOT=/a", "H=/h", "GOROOT=", "GOROOT_FINAL=/b"],
            |w| w.unset(b"GOROOT").unwrap().unset(b"X").unwrap(),
            &["H=/h", "GOROOT_FINAL=/b"],
        );
    }

    #[test]
    fn a_directory_goes_to_the_end_of_path_once() {
        check(&["PATH=/bin:/usr/bin", "H=/h"], append, &["PATH=/bin:/usr/bin:/l", "H=/h"]);
        check(&["PATH=/bin:/l:/usr/bin"], append, &["PATH=/bin:/l:/usr/bin"]);
        check(&["PATH=/l"], append, &["PATH=/l"]);
        check(&["PATH=/l/m:/bin"], append, &["PATH=/l/m:/bin:/l"]);
        check(&["PATH=/bin", "PATH=/second"], append, &["PATH=/bin:/l", "PATH=/second"]);
    }

    #[test]
    fn no_directory_but_ours_comes_into_path() {
        check(&["H=/h"], append, &["H=/h", "PATH=/l"]);
        check(&["PATH="], append, &["PATH=/l"]);
        check(&["PATH=/bin:"], append, &["PATH=/bin::/l"]);
    }

    #[test]
    fn too_little_space_is_no_environment() {
        let mut frame = vec![0; 4096];
        let frame = RunWriter::new(&mut frame, b"/go", None).and_then(|w| w.set(b"A", b"123456")).unwrap();
        let Ok(Answer::Run(run)) = Answer::decode(frame.finish().unwrap()) else { panic!("no answer to run") };
        let environment = [None];
        let (mut space, mut table) = ([0; 8], [None; 4]);
        assert!(edited(&environment, &run, &mut Arena::new(&mut space), &mut table).is_none());
        let (mut space, mut table) = ([0; 9], [None; 1]);
        assert!(edited(&environment, &run, &mut Arena::new(&mut space), &mut table).is_none());
    }

    #[test]
    fn only_the_listed_variables_are_told_and_each_once() {
        let entries =
            zero_ended(&["HOME=/h", "SECRET=1", "GOFLAGS=", "HOMER=x", "HOME=/other", "GOWORK=off", "PATH=/b"]);
        let environment = list(&entries);
        let told: Vec<&[u8]> = told(&environment).collect();
        assert_eq!(told, [&b"HOME=/h"[..], b"GOFLAGS=", b"GOWORK=off"]);
    }
}
