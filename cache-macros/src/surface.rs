//! Tests: an option that is read is documented, shown at work and shown failing; and nothing else is documented.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::args::{CachedArgs, InvalidateArgs, Options, PutArgs};

/// An attribute, and its options as they are read.
struct Attribute {
    name: &'static str,
    options: &'static [&'static str],
}

fn attributes() -> [Attribute; 3] {
    fn attribute<T: Options>() -> Attribute {
        Attribute {
            name: T::ATTRIBUTE,
            options: T::NAMES,
        }
    }
    [
        attribute::<CachedArgs>(),
        attribute::<InvalidateArgs>(),
        attribute::<PutArgs>(),
    ]
}

#[test]
fn the_reference_has_a_section_for_each_option_and_for_nothing_else() {
    for Attribute { name, options } in attributes() {
        let reference = read(&format!("cache-macros/docs/{name}.md"));
        let sections = sections(&reference);
        let documented: Vec<_> = sections.iter().map(|section| section.option).collect();
        assert_same(&format!("docs/{name}.md"), options, &documented);
    }
}

#[test]
fn each_section_of_the_reference_has_an_example_that_is_run() {
    none_is_missing("cache-macros/docs", |attribute| {
        let reference = read(&format!("cache-macros/docs/{attribute}.md"));
        let shown = sections(&reference).into_iter().filter(|section| {
            let given = section.examples.options(attribute);
            given.iter().any(|given| given.name == section.option)
        });
        shown.map(|section| section.option.to_owned()).collect()
    });
}

#[test]
fn the_examples_of_the_reference_and_of_the_readme_are_run() {
    let library = read("cache-runtime/src/lib.rs");
    let references =
        attributes().map(|attribute| format!("cache-macros/docs/{}.md", attribute.name));
    for path in references.iter().map(String::as_str).chain(["README.md"]) {
        let included = format!("#[doc = include_str!(\"../../{path}\")]");
        assert!(library.contains(&included), "no doc test reads {path}");
        let text = read(path);
        let blocks = text.split("\n```").skip(1).step_by(2);
        for block in blocks.filter(|block| block.contains("fn ") || block.contains(".await")) {
            assert!(block.starts_with(RUN), "{path} does not run:{block}");
        }
    }
}

#[test]
fn the_readme_names_each_option_and_its_tables_nothing_else() {
    let readme = read("README.md");
    for Attribute { name, options } in attributes() {
        let heading = format!("\n## `#[{name}]`\n");
        let (_, section) = readme.split_once(&heading).expect("a section of its own");
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows: Vec<_> = { section.lines() }
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(option, _)| option)
            .collect();
        if rows.is_empty() {
            // In sentences, as code.
            for option in options {
                let codes = [format!("`{option}`"), format!("{option} =")];
                let named = codes.iter().any(|code| section.contains(code));
                assert!(named, "README does not name `{option}` of `#[{name}]`");
            }
        } else {
            assert_same(&format!("README, `#[{name}]`"), options, &rows);
        }
    }
}

#[test]
fn each_option_has_a_use_that_compiles_and_runs() {
    for (place, files) in [
        ("tests/ui/pass", sources("tests/ui/pass")),
        (
            "examples/attributes.rs",
            vec![root().join("examples/attributes.rs")],
        ),
    ] {
        let sources: Vec<_> = files.iter().map(|file| Source::read(file)).collect();
        none_is_missing(place, |attribute| {
            let options = sources.iter().flat_map(|source| source.options(attribute));
            options.map(|option| option.name).collect()
        });
    }
}

#[test]
fn each_option_has_a_mistake_with_its_message_at_the_option() {
    let read = |file: &PathBuf| (Source::read(file), errors(&file.with_extension("stderr")));
    let files: Vec<_> = sources("tests/ui/fail").iter().map(read).collect();
    none_is_missing("tests/ui/fail", |attribute| {
        let at_fault = files.iter().flat_map(|(source, errors)| {
            let places: Vec<_> = errors.iter().map(|&place| source.position(place)).collect();
            let hit = move |option: &Given| places.iter().any(|at| option.place.contains(at));
            source.options(attribute).into_iter().filter(hit)
        });
        at_fault.map(|option| option.name).collect()
    });
}

#[test]
fn no_mistake_is_reported_twice() {
    for file in sources("tests/ui/fail") {
        let errors = errors(&file.with_extension("stderr"));
        let places: BTreeSet<_> = errors.iter().collect();
        assert_eq!(errors.len(), places.len(), "{}", file.display());
        assert!(!errors.is_empty(), "{}", file.display());
    }
}

#[test]
fn each_option_has_an_expansion_to_look_at() {
    let snapshots = read("cache-macros/src/snapshots.rs");
    none_is_missing("snapshots.rs", |attribute| {
        let by = match attribute {
            "cached" => "cached(",
            "cache_invalidate" => "invalidating(",
            "cache_put" => "putting(",
            other => panic!("by which function are expansions of `{other}` made?"),
        };
        { snapshots.match_indices(by) }
            .filter_map(|(at, _)| literal(&snapshots[at + by.len()..]))
            .flat_map(|options| split(options, 0))
            .map(|option| option.name)
            .collect()
    });
}

/// Says all options at once that are not among those of their attribute.
#[track_caller]
fn none_is_missing(place: &str, found: impl Fn(&str) -> BTreeSet<String>) {
    let mut missing = Vec::new();
    for Attribute { name, options } in attributes() {
        let found = found(name);
        let absent = options.iter().filter(|option| !found.contains(**option));
        missing.extend(absent.map(|option| format!("#[{name}({option})]")));
    }
    assert!(missing.is_empty(), "{place} is without {missing:?}");
}

#[track_caller]
fn assert_same(place: &str, read: &[&str], written: &[&str]) {
    let sorted = |names: &[&str]| {
        let mut names: Vec<_> = names.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(sorted(read), sorted(written), "read, and in {place}");
}

// --- the reference --------------------------------------------------------------------------

/// How a code block begins that is compiled and run, after the fence.
const RUN: &str = "rust\n";

/// What the reference says of an option.
struct Section<'a> {
    option: &'a str,
    /// Its code that is compiled and run.
    examples: Source,
}

/// The sections under `# Options`. In code a `# ` hides the line.
fn sections(reference: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let (mut fence, mut among_options) = (None, false);
    for line in reference.lines() {
        match (line.strip_prefix("```"), fence) {
            (Some(begin), None) => fence = Some(begin),
            (Some(_), Some(_)) => fence = None,
            (None, None) if line.starts_with("# ") => among_options = line == "# Options",
            (None, None) if among_options => {
                let heading = line.strip_prefix("## ");
                sections.extend(heading.map(|heading| Section {
                    option: heading.trim_matches('`'),
                    examples: Source(String::new()),
                }));
            }
            (None, Some(begin)) if begin == RUN.trim_end() && among_options => {
                if let Some(section) = sections.last_mut() {
                    section.examples.0.push_str(line);
                    section.examples.0.push('\n');
                }
            }
            (None, _) => {}
        }
    }
    sections
}

// --- files ----------------------------------------------------------------------------------

fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("a workspace around it")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

/// The Rust files of a folder.
fn sources(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "rs"));
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

/// Line and column of each error that a compiler has printed.
fn errors(printed: &Path) -> Vec<(usize, usize)> {
    let printed = fs::read_to_string(printed).unwrap_or_default();
    let mut places = Vec::new();
    let mut waits = false;
    for line in printed.lines() {
        waits |= line.starts_with("error");
        if let (true, Some((_, place))) = (waits, line.split_once("--> tests/ui/")) {
            let mut numbers = place.rsplit(':').map(|number| number.parse().unwrap());
            let (column, line) = (numbers.next(), numbers.next());
            places.extend(line.zip(column));
            waits = false;
        }
    }
    places
}

/// A file of which only the attributes matter.
struct Source(String);

/// An option as it was written.
struct Given {
    name: String,
    place: Range<usize>,
}

impl Source {
    /// The file, its comments blanked out.
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path)
            .unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        let lines = text.split_inclusive('\n');
        let code = lines.map(|line| match line.trim_start().starts_with("//") {
            true => " ".repeat(line.len() - 1) + "\n",
            false => line.to_owned(),
        });
        Self(code.collect())
    }

    /// Where a line and a column are in it.
    fn position(&self, (line, column): (usize, usize)) -> usize {
        let before = self.0.split_inclusive('\n').take(line - 1);
        before.map(str::len).sum::<usize>() + column - 1
    }

    /// The options of every use of an attribute, by whatever path.
    fn options(&self, attribute: &str) -> Vec<Given> {
        let call = format!("{attribute}(");
        let uses = self.0.match_indices(&call).filter(|&(at, _)| {
            let path = self.0[..at].rsplit("#[").next().unwrap_or_default();
            let whole = path.is_empty() || path.ends_with("::");
            whole && !path.contains(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        });
        uses.flat_map(|(at, _)| split(&self.0[at + call.len()..], at + call.len()))
            .collect()
    }
}

/// The options up to the parenthesis that closes, or the end; `offset` is where the text begins.
fn split(text: &str, offset: usize) -> Vec<Given> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let (mut given, mut start) = (Vec::new(), 0);
    for (at, c) in text.char_indices().chain([(text.len(), ')')]) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ',' | ')' if depth == 0 => {
                let option = &text[start..at];
                let name: String = { option.trim_start().chars() }
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let place = offset + start..offset + at;
                given.extend((!name.is_empty()).then_some(Given { name, place }));
                start = at + 1;
                if c == ')' {
                    break;
                }
            }
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    given
}

/// The first string literal of a text, without its quotes.
fn literal(text: &str) -> Option<&str> {
    let start = text.find('"')?;
    let (end, raw) = match text[..start].ends_with("r#") {
        true => ("\"#", true),
        false => ("\"", false),
    };
    let inside = &text[start + 1..];
    let length = inside.find(end)?;
    // An escape would end it too early.
    let whole = raw || !inside[..length].contains('\\');
    whole.then(|| &inside[..length])
}
