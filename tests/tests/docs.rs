//! The book holds together: every page is in its table of contents, every link leads somewhere, every test that the
//! architecture names exists.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn pages(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("docs/book") {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.insert(path);
        }
    }
}

/// The targets of `[text](target)` that are files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

#[test]
fn every_page_is_listed_and_every_link_leads_somewhere() {
    let docs = root().join("docs");
    let mut found = BTreeSet::new();
    pages(&docs, &mut found);
    assert!(found.remove(&docs.join("SUMMARY.md")), "the table of contents");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<PathBuf> = links(&summary).map(|target| docs.join(target)).collect();
    assert_eq!(found, listed, "pages there are, and pages that docs/SUMMARY.md lists");
    for page in found.iter().chain([&root().join("README.md"), &root().join("CONTRIBUTING.md")]) {
        for target in links(&fs::read_to_string(page).unwrap()) {
            assert!(page.parent().unwrap().join(target).exists(), "{}: no {target}", page.display());
        }
    }
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let text = fs::read_to_string(root().join("docs/dev/architecture.md")).unwrap();
    let table = text.split("| invariant | tests |").nth(1).expect("the table of invariants");
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(!rows.is_empty(), "{table}");
    for row in rows {
        let words: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        assert!(!words.is_empty() && words.len().is_multiple_of(2), "a row names files and tests: {row}");
        for pair in words.chunks(2) {
            let (file, test) = (pair[0], pair[1]);
            let source = fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(source.contains(&format!("fn {test}(")), "{file} has no test {test}");
        }
    }
}
