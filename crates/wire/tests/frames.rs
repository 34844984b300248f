//! Question and answer through their bytes, and every kind of byte that is neither.

use govern_wire::{
    Answer, BufferFull, Fault, MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_FRAME, PROTOCOL, Question, RunWriter, Tool,
    VARIABLES,
};
use proptest::collection::vec;
use proptest::prelude::{any, proptest};

fn question(tool: Tool<'_>, arguments: &[&[u8]], variables: &[&[u8]]) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME];
    let (arguments, variables) = (arguments.iter().copied(), variables.iter().copied());
    Question::encode(&mut buffer, tool, b"/w", arguments, variables).expect("a short question fits").to_vec()
}

/// A frame with the given magic and fields.
fn frame(magic: [u8; 4], fields: &[(u8, &[u8])]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a short value").to_le_bytes();
    let mut body = Vec::new();
    for (tag, value) in fields {
        body.push(*tag);
        body.extend(length(value));
        body.extend(*value);
    }
    let mut frame = magic.to_vec();
    frame.extend(length(&body));
    frame.extend(body);
    frame
}

fn answer(fields: &[(u8, &[u8])]) -> Result<(), Fault> {
    Answer::decode(&frame(*b"gva\x01", fields)).map(drop)
}

#[test]
fn a_question_arrives_as_it_was_asked() {
    let bytes = question(Tool::Launcher(b"go1.26.3"), &[b"build", b"", b"./..."], &[b"GOFLAGS=-mod=mod", b"GOWORK="]);
    let read = Question::decode(&bytes).unwrap();
    assert_eq!(read.tool, Tool::Launcher(b"go1.26.3"));
    assert_eq!(read.tool.name(), b"go1.26.3");
    assert_eq!(read.cwd, b"/w");
    assert_eq!(read.arguments().collect::<Vec<_>>(), [&b"build"[..], b"", b"./..."]);
    assert!(!read.has_more_arguments);
    let variables: Vec<(&[u8], &[u8])> = vec![(b"GOFLAGS", b"-mod=mod"), (b"GOWORK", b"")];
    assert_eq!(read.variables().collect::<Vec<_>>(), variables);
    assert_eq!(Question::decode(&question(Tool::Go, &[], &[])).unwrap().tool, Tool::Go);
    assert_eq!(Question::decode(&question(Tool::Gofmt, &[], &[])).unwrap().tool, Tool::Gofmt);
}

#[test]
fn an_answer_arrives_as_it_was_given() {
    let mut buffer = [0; 512];
    let bytes = RunWriter::new(&mut buffer, b"/s/go1.22.4/bin/go", Some(b"/l/go1.22.4.lease"))
        .and_then(|w| w.drop_arguments(1))
        .and_then(|w| w.set(b"GOTOOLCHAIN", b"go1.22.4"))
        .and_then(|w| w.set(b"GOVERN_DEPTH", b"1"))
        .and_then(|w| w.unset(b"GOROOT"))
        .and_then(|w| w.append_path(b"/h/launchers/all"))
        .and_then(RunWriter::finish)
        .unwrap();
    let Ok(Answer::Run(run)) = Answer::decode(bytes) else { panic!("{:?}", Answer::decode(bytes)) };
    assert_eq!(run.program, b"/s/go1.22.4/bin/go");
    assert_eq!(run.lease, Some(&b"/l/go1.22.4.lease"[..]));
    assert_eq!(run.drop_arguments, 1);
    let set: Vec<(&[u8], &[u8])> = vec![(b"GOTOOLCHAIN", b"go1.22.4"), (b"GOVERN_DEPTH", b"1")];
    assert_eq!(run.set().collect::<Vec<_>>(), set);
    assert_eq!(run.unset().collect::<Vec<_>>(), [b"GOROOT"]);
    assert_eq!(run.append_path, Some(&b"/h/launchers/all"[..]));

    let mut small = [0; 14];
    assert!(matches!(Answer::decode(Answer::encode_fallback(&mut small).unwrap()), Ok(Answer::Fallback)));
    let bare = RunWriter::new(&mut buffer, b"/go", None).and_then(RunWriter::finish).unwrap();
    let Ok(Answer::Run(run)) = Answer::decode(bare) else { panic!("{:?}", Answer::decode(bare)) };
    assert_eq!((run.lease, run.drop_arguments, run.append_path), (None, 0, None));
}

#[test]
fn arguments_beyond_the_limits_are_left_out_and_said_so() {
    let many = [&b"x"[..]; MAX_ARGUMENTS + 1];
    let bytes = question(Tool::Go, &many[..MAX_ARGUMENTS], &[]);
    let exact = Question::decode(&bytes).unwrap();
    assert_eq!((exact.arguments().count(), exact.has_more_arguments), (MAX_ARGUMENTS, false));
    let bytes = question(Tool::Go, &many, &[]);
    let over = Question::decode(&bytes).unwrap();
    assert_eq!((over.arguments().count(), over.has_more_arguments), (MAX_ARGUMENTS, true));

    let long = [b'y'; MAX_ARGUMENT_BYTES];
    let bytes = question(Tool::Go, &[&long], &[]);
    let exact = Question::decode(&bytes).unwrap();
    assert_eq!((exact.arguments().count(), exact.has_more_arguments), (1, false));
    // Nothing after the first argument that does not fit: a hole would move the meaning of those behind it.
    let bytes = question(Tool::Go, &[b"z", &long, b"z"], &[]);
    let over = Question::decode(&bytes).unwrap();
    assert_eq!((over.arguments().count(), over.has_more_arguments), (1, true));
}

#[test]
fn a_reader_passes_over_tags_that_it_does_not_know() {
    let bytes = frame(*b"gvq\x01", &[(250, b"new"), (1, &[0]), (3, b"/w"), (251, b"")]);
    assert_eq!(Question::decode(&bytes).unwrap().cwd, b"/w");
    assert_eq!(answer(&[(1, &[0]), (99, b"\0"), (2, b"/go")]), Ok(()));
}

#[test]
fn a_cut_frame_is_never_read() {
    let bytes = question(Tool::Go, &[b"build"], &[b"HOME=/h"]);
    for end in 0..bytes.len() {
        assert_eq!(Question::decode(&bytes[..end]).err(), Some(Fault::Cut), "{end} bytes");
        let expected = if end < 8 { None } else { Some(bytes.len()) };
        assert_eq!(Question::frame_len(&bytes[..end]), Ok(expected), "{end} bytes");
    }
    let mut field_too_long = frame(*b"gvq\x01", &[(1, &[0]), (3, b"/w")]);
    let last = field_too_long.len() - 6;
    field_too_long[last] += 1;
    assert_eq!(Question::decode(&field_too_long).err(), Some(Fault::Cut));
}

#[test]
fn a_foreign_header_is_told_from_its_first_bytes() {
    assert_eq!(Answer::frame_len(b""), Ok(None));
    assert_eq!(Answer::frame_len(b"gva"), Ok(None));
    assert_eq!(Answer::frame_len(b"HTT"), Err(Fault::Foreign));
    assert_eq!(Answer::frame_len(b"HTTP/1.0 200 OK"), Err(Fault::Foreign));
    assert_eq!(Answer::frame_len(b"gva\x02\0\0\0\0"), Err(Fault::Protocol(2)));
    assert_eq!(Answer::frame_len(b"gva\x01\xff\xff\xff\xff"), Err(Fault::TooLong(u32::MAX)));
    let most = u32::try_from(MAX_FRAME - 8).unwrap();
    let header = |body: u32| [&b"gva\x01"[..], &body.to_le_bytes()].concat();
    assert_eq!(Answer::frame_len(&header(most)), Ok(Some(MAX_FRAME)));
    assert_eq!(Answer::frame_len(&header(most + 1)), Err(Fault::TooLong(most + 1)));
    assert_eq!(PROTOCOL, 1);
}

#[test]
fn an_echoed_question_is_no_answer() {
    assert_eq!(Answer::decode(&question(Tool::Go, &[], &[])).err(), Some(Fault::Foreign));
}

#[test]
fn a_question_that_no_shim_sends_is_refused() {
    let check = |fields: &[(u8, &[u8])], fault| {
        assert_eq!(Question::decode(&frame(*b"gvq\x01", fields)).err(), Some(fault), "{fields:?}");
    };
    check(&[], Fault::Missing("tool"));
    check(&[(1, &[0])], Fault::Missing("cwd"));
    check(&[(1, &[3]), (3, b"/w")], Fault::Bad("tool"));
    check(&[(1, &[2]), (3, b"/w")], Fault::Missing("launcher"));
    check(&[(1, &[2]), (2, b""), (3, b"/w")], Fault::Bad("launcher"));
    check(&[(1, &[2]), (2, b"../go"), (3, b"/w")], Fault::Bad("launcher"));
    check(&[(1, &[0]), (3, b"w")], Fault::Bad("cwd"));
    check(&[(1, &[0]), (3, b"/w\0")], Fault::Bad("cwd"));
    check(&[(1, &[0]), (3, b"/w"), (4, b"a\0b")], Fault::Bad("argument"));
    check(&[(1, &[0]), (3, b"/w"), (6, b"HOME")], Fault::Bad("variable"));
    check(&[(1, &[0]), (3, b"/w"), (6, b"=x")], Fault::Bad("variable"));
}

#[test]
fn an_answer_that_cannot_be_followed_is_refused() {
    assert_eq!(answer(&[]), Err(Fault::Missing("status")));
    assert_eq!(answer(&[(1, &[7])]), Err(Fault::Bad("status")));
    assert_eq!(answer(&[(1, &[0])]), Err(Fault::Missing("program")));
    assert_eq!(answer(&[(1, &[0]), (2, b"go")]), Err(Fault::Bad("program")));
    assert_eq!(answer(&[(1, &[0]), (2, b"/g\0o")]), Err(Fault::Bad("program")));
    assert_eq!(answer(&[(1, &[0]), (2, b"/go"), (3, b"l")]), Err(Fault::Bad("lease")));
    assert_eq!(answer(&[(1, &[0]), (2, b"/go"), (4, &[1])]), Err(Fault::Bad("drop arguments")));
    assert_eq!(answer(&[(1, &[0]), (2, b"/go"), (5, b"NAME")]), Err(Fault::Bad("set")));
    assert_eq!(answer(&[(1, &[0]), (2, b"/go"), (5, b"A=b\0")]), Err(Fault::Bad("set")));
    assert_eq!(answer(&[(1, &[0]), (2, b"/go"), (6, b"A=b")]), Err(Fault::Bad("unset")));
    assert_eq!(answer(&[(1, &[0]), (2, b"/go"), (6, b"")]), Err(Fault::Bad("unset")));
    assert_eq!(answer(&[(1, &[0]), (2, b"/go"), (7, b"rel")]), Err(Fault::Bad("append to PATH")));
    assert_eq!(answer(&[(1, &[0]), (2, b"/go"), (7, b"/a:b")]), Err(Fault::Bad("append to PATH")));
}

#[test]
fn what_does_not_fit_is_an_error_and_not_half_a_frame() {
    let none = || std::iter::empty();
    let whole = question(Tool::Go, &[], &[]).len();
    for size in 0..whole {
        let mut buffer = vec![0; size];
        assert_eq!(Question::encode(&mut buffer, Tool::Go, b"/w", none(), none()), Err(BufferFull), "{size} bytes");
    }
    // A frame has a limit of its own, whatever the buffer holds.
    let (mut buffer, huge) = (vec![0; 2 * MAX_FRAME], vec![b'/'; MAX_FRAME]);
    assert_eq!(Question::encode(&mut buffer, Tool::Go, &huge, none(), none()), Err(BufferFull));
    assert!(matches!(Answer::encode_fallback(&mut [0; 13]), Err(BufferFull)));
}

#[test]
fn variables_are_sorted_and_named_once() {
    assert!(VARIABLES.windows(2).all(|pair| pair[0] < pair[1]), "{VARIABLES:?}");
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(mut bytes in vec(any::<u8>(), 0..200), kind in any::<bool>(), framed in any::<bool>()) {
        if framed && bytes.len() >= 8 {
            let body = u32::try_from(bytes.len() - 8).unwrap();
            bytes[..4].copy_from_slice(if kind { b"gvq\x01" } else { b"gva\x01" });
            bytes[4..8].copy_from_slice(&body.to_le_bytes());
        }
        if let Ok(question) = Question::decode(&bytes) {
            let _ = (question.arguments().count(), question.variables().count());
        }
        if let Ok(Answer::Run(run)) = Answer::decode(&bytes) {
            let _ = (run.set().count(), run.unset().count());
        }
    }

    #[test]
    fn every_question_survives_its_bytes(
        cwd in "/[a-z/]{0,40}",
        arguments in vec(vec(1_u8.., 0..300), 0..40),
        values in vec(vec(1_u8.., 0..100), 0..18),
    ) {
        let variables: Vec<Vec<u8>> =
            VARIABLES.iter().zip(&values).map(|(name, value)| [name.as_bytes(), b"=", value].concat()).collect();
        let mut buffer = [0; MAX_FRAME];
        let frame = Question::encode(
            &mut buffer,
            Tool::Go,
            cwd.as_bytes(),
            arguments.iter().map(Vec::as_slice),
            variables.iter().map(Vec::as_slice),
        ).unwrap();
        let read = Question::decode(frame).unwrap();
        assert_eq!(read.cwd, cwd.as_bytes());
        let sent: Vec<&[u8]> = read.arguments().collect();
        assert!(arguments.iter().zip(&sent).all(|(a, b)| a == b));
        assert_eq!(read.has_more_arguments, sent.len() < arguments.len());
        assert!(read.variables().map(|(_, value)| value).eq(values.iter().map(Vec::as_slice)));
    }
}
