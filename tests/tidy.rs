//! The house rules that a program can check. Every check names all offenders at once, with file and line.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

// --- what holds -----------------------------------------------------------------------------

/// The modules of `cache-runtime`, lowest layer first: a module uses its own layer and those before it.
const LAYERS: &[&[&str]] = &[
    &[
        "blocking",
        "clock",
        "duration",
        "error",
        "held",
        "invalidated",
        "limit",
        "location",
        "mode",
        "patience",
        "policy",
        "random",
        "secret",
        "together",
        "traced",
        "turns",
    ],
    &["key", "stats", "value"],
    &["collection", "config", "outcome", "site"],
    &["env", "near", "seen"],
    &["log", "store", "variable"],
    &["breaker", "lease", "outage", "remote"],
    &["flight"],
    &["advice", "inner"],
    &[
        "cache",
        "call",
        "check",
        "counter",
        "entry",
        "health",
        "intent",
        "invalidate",
        "life",
        "many",
    ],
    &["acting", "global", "put", "warm"],
    &["batch", "fuzz", "private"],
];

/// Where alone in `cache-runtime/src` these may be named; tests may name them anywhere.
const RESERVED: &[(&str, &str)] = &[
    ("redis::", "store/"),
    ("moka::", "near/"),
    ("papaya::", "near/"),
    ("seize::", "near/"),
    ("coarsetime::", "clock/"),
    ("Instant::now", "clock.rs"),
    ("SystemTime::now", "clock.rs"),
    ("tokio::time::", "clock.rs"),
];

/// What no file contains.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "unimplemented!", "todo!", "dbg!"];

/// Beginnings of paths that exist on somebody's machine only.
const MACHINE_PATHS: &[&str] = &["/home/", "/root/", "/work/"];

/// Lines of a source file, its tests apart.
const LONGEST_FILE: usize = 400;

// --- checks ---------------------------------------------------------------------------------

#[test]
fn no_source_file_is_too_long() {
    let mut offenders = Vec::new();
    for file in program_files("cache-macros/src").chain(program_files("cache-runtime/src")) {
        let lines = file.code().lines().count();
        if lines > LONGEST_FILE {
            offenders.push(file.at(0, &format!("{lines} lines; split it")));
        }
    }
    report("a file has at most 400 lines, its tests apart", &offenders);
}

#[test]
fn each_outside_crate_and_the_time_have_one_place() {
    let mut offenders = Vec::new();
    for file in program_files(RUNTIME) {
        let code = file.code();
        for &(name, place) in RESERVED {
            if file.path[RUNTIME.len() + 1..].starts_with(place) {
                continue;
            }
            for position in paths_starting_with(&code, name) {
                offenders.push(file.at(position, &format!("`{name}` belongs to `{place}` alone")));
            }
        }
    }
    report("one place names it, see RESERVED", &offenders);
}

#[test]
fn modules_use_only_their_own_layer_and_lower_ones() {
    let layer_of = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let root = read(&format!("{RUNTIME}/lib.rs"));
    let mut offenders = Vec::new();
    for file in program_files(RUNTIME) {
        let module = file.module();
        if module == "lib" {
            continue;
        }
        let Some(layer) = layer_of(&module) else {
            offenders.push(file.at(0, &format!("`{module}` is not in LAYERS")));
            continue;
        };
        for (position, name) in file.uses_of_the_crate() {
            // A name that the crate exports counts as the module it comes from.
            let used = match layer_of(&name) {
                Some(_) => name,
                None => exporting_module(&root, &name).unwrap_or(name),
            };
            if layer_of(&used).is_some_and(|used| used > layer) {
                offenders.push(file.at(position, &format!("`{module}` is below `{used}`")));
            }
        }
    }
    report(
        "modules use only what stands below them, see LAYERS",
        &offenders,
    );
}

#[test]
fn nothing_is_left_unfinished() {
    let mut offenders = Vec::new();
    for file in text_files() {
        for &word in UNFINISHED {
            for position in words(&file.text, word) {
                offenders.push(file.at(position, &format!("`{word}`")));
            }
        }
    }
    report("nothing unfinished reaches the main branch", &offenders);
}

#[test]
fn no_file_names_a_path_of_somebodys_machine() {
    let mut offenders = Vec::new();
    for file in text_files() {
        for &path in MACHINE_PATHS {
            for (position, _) in file.text.match_indices(path) {
                // Within a longer path it is part of something else, such as an address.
                let before = file.text[..position].chars().next_back();
                if before.is_none_or(|c| !c.is_alphanumeric() && !"_-.}".contains(c)) {
                    offenders.push(file.at(position, &format!("`{path}`")));
                }
            }
        }
    }
    report("paths are relative to the repository", &offenders);
}

#[test]
fn every_option_is_in_the_reference_of_its_attribute() {
    const ARGS: &str = "cache-macros/src/args.rs";
    let args = read(ARGS);
    let mut offenders = Vec::new();
    let mut attributes = 0;
    for part in args.split("const ATTRIBUTE: &str = ").skip(1) {
        let attribute = string_literals(part).next().unwrap_or_default();
        let (_, names) = part
            .split_once("const NAMES: &[&str] = ")
            .unwrap_or_else(|| panic!("{ARGS}: `{attribute}` has no `NAMES`"));
        let names = &names[..names.find(';').unwrap_or(names.len())];
        let reference = format!("cache-macros/docs/{attribute}.md");
        let text = read(&reference);
        attributes += 1;
        for name in string_literals(names) {
            // As code: `ttl`, `ttl = 60` or `skip(db)`.
            let code = format!("`{name}");
            let mut mentions = text.match_indices(&code).map(|(at, _)| at + code.len());
            if !mentions.any(|end| text[end..].starts_with(['`', ' ', '(', '='])) {
                offenders.push(format!("{reference}: option `{name}` is missing"));
            }
        }
    }
    assert!(attributes > 0, "{ARGS}: no `const ATTRIBUTE` found");
    report("every option is documented", &offenders);
}

#[test]
fn each_test_that_the_documentation_names_exists() {
    let architecture = read(ARCHITECTURE);
    let (_, table) = architecture
        .split_once("\n## When Redis fails\n")
        .unwrap_or_else(|| panic!("{ARCHITECTURE} has no table of faults"));
    let rows = table.lines().take_while(|line| !line.starts_with("## "));
    let rows = rows.filter(|line| line.starts_with("| ") && !line.starts_with("| fault |"));
    let mut offenders = Vec::new();
    let mut named = 0;
    for row in rows.filter(|row| !row.starts_with("| ---")) {
        let tests = tests_named_in(row);
        if tests.is_empty() {
            offenders.push(format!("{ARCHITECTURE}: no test: {row}"));
        }
        named += tests.len();
    }
    for (test, path) in tests_named_in(&architecture) {
        if words(&read(path), &format!("fn {test}")).is_empty() {
            offenders.push(format!("{ARCHITECTURE}: `{test}` is not in {path}"));
        }
    }
    assert!(named > 0, "{ARCHITECTURE}: the table of faults is empty");
    report(
        "each fault has its test, and each test named is there",
        &offenders,
    );
}

/// Test functions and their files, where they stand as [`NAME`](FILE).
fn tests_named_in(text: &str) -> Vec<(&str, &str)> {
    let links = text.split("[`").skip(1);
    let links = links.filter_map(|link| link.split_once("`](tests/").map(|(name, _)| (name, link)));
    let links = links.filter(|(name, _)| name.chars().all(is_word));
    let file = |link: &'_ str| Some((link.find("tests/")?, link.find(')')?));
    links
        .filter_map(|(name, link)| file(link).map(|(start, end)| (name, &link[start..end])))
        .collect()
}

#[test]
fn the_readme_example_is_the_example_that_is_compiled() {
    let readme = read("README.md");
    let example = read("examples/hello.rs");
    let (_, block) = readme
        .split_once("```rust")
        .expect("README.md has Rust code");
    let (_, block) = block.split_once('\n').expect("a code block has lines");
    let (block, _) = block.split_once("```").expect("a code block ends");
    assert_eq!(
        block.trim(),
        example.trim(),
        "the first Rust code block of README.md is examples/hello.rs, word for word"
    );
}

#[track_caller]
fn report(rule: &str, offenders: &[String]) {
    assert!(
        offenders.is_empty(),
        "{rule}:\n  {}\n",
        offenders.join("\n  ")
    );
}

// --- files ----------------------------------------------------------------------------------

const RUNTIME: &str = "cache-runtime/src";
const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// A file with its path from the root of the repository.
struct File {
    path: String,
    text: String,
}

impl File {
    fn at(&self, position: usize, what: &str) -> String {
        let line = self.text[..position].matches('\n').count() + 1;
        format!("{}:{line}: {what}", self.path)
    }

    /// The text up to the tests at its end, comments blanked out: positions are those of the text.
    fn code(&self) -> String {
        let mut code = String::with_capacity(self.text.len());
        let mut lines = self.text.split_inclusive('\n').peekable();
        while let Some(line) = lines.next() {
            let next = lines.peek().unwrap_or(&"");
            if line.starts_with("#[cfg(test)]") && next.contains("mod ") && next.contains('{') {
                break;
            }
            // Not after a colon: that is an address in a string.
            let comment = line.match_indices("//").map(|(at, _)| at);
            let end = { comment }.find(|&at| !line[..at].ends_with(':'));
            let end = end.unwrap_or(line.len());
            code.push_str(&line[..end]);
            code.extend(
                line[end..]
                    .bytes()
                    .map(|b| if b == b'\n' { '\n' } else { ' ' }),
            );
        }
        code
    }

    /// Its path below `src`, as module names.
    fn module_path(&self) -> Vec<&str> {
        let below_src = self.path.split_once("/src/").map_or("", |(_, below)| below);
        let below_src = below_src.strip_suffix(".rs").unwrap_or(below_src);
        let mut names: Vec<_> = below_src.split('/').collect();
        names.pop_if(|last| *last == "mod");
        names
    }

    /// The top-level module it is part of.
    fn module(&self) -> String {
        self.module_path()
            .first()
            .map_or_else(String::new, |&name| name.to_owned())
    }

    /// Where it names something by way of the crate's root, and what: `crate::NAME`, or `super::NAME` when that is as far.
    fn uses_of_the_crate(&self) -> Vec<(usize, String)> {
        let code = self.code();
        let root = "super::".repeat(self.module_path().len());
        let mut uses = Vec::new();
        for start in ["crate::", &root] {
            for position in paths_starting_with(&code, start) {
                let rest = &code[position + start.len()..];
                uses.extend(first_names(rest).into_iter().map(|name| (position, name)));
            }
        }
        uses
    }
}

/// Every text file of the repository that people write.
fn text_files() -> Vec<File> {
    const NOT_WRITTEN: &[&str] = &["Cargo.lock", "examples/data/earthquakes.json"];
    let mut files = files_below("");
    // This file has to spell what it looks for.
    files.retain(|file| file.path != "tests/tidy.rs" && !NOT_WRITTEN.contains(&file.path.as_str()));
    files
}

/// The source files below a folder that are part of the program, not of its tests.
fn program_files(folder: &str) -> impl Iterator<Item = File> {
    let mut files = files_below(folder);
    let tests: BTreeSet<_> = files.iter().flat_map(test_files_declared_in).collect();
    files.retain(|file| {
        let aside = ["/tests/", "/snapshots/"]
            .iter()
            .any(|part| file.path.contains(part));
        file.path.ends_with(".rs") && !aside && !tests.contains(&file.path)
    });
    assert!(!files.is_empty(), "no source files below {folder}");
    files.into_iter()
}

/// Files of the modules that stand as `#[cfg(test)] mod NAME;` in this one.
fn test_files_declared_in(file: &File) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let folder = match name {
        "lib.rs" | "mod.rs" => folder.to_owned(),
        _ => file.path.trim_end_matches(".rs").to_owned(),
    };
    let declarations = file.text.split("#[cfg(test)]\n").skip(1);
    let names = declarations.filter_map(|text| text.strip_prefix("mod ")?.split_once(';'));
    let names = names.filter(|(name, _)| name.chars().all(is_word));
    names
        .map(|(name, _)| format!("{folder}/{name}.rs"))
        .collect()
}

fn files_below(folder: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.unwrap_or_else(|e| panic!("{folder}: {e}"));
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        let ours = !name.starts_with('.') || [".ci", ".github"].contains(&name.as_str());
        if entry.path().is_dir() {
            if ours && name != "target" {
                files.extend(files_below(&path));
            }
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.push(File { path, text });
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

#[track_caller]
fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

// --- text -----------------------------------------------------------------------------------

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `path` stands at the beginning of a path: `redis::` in `redis::Client` and `::redis::Client`,
/// not in `store::redis::Client`; of a type, as in `Instant::now`, wherever it comes from.
fn paths_starting_with(code: &str, path: &str) -> Vec<usize> {
    let of_a_type = path.starts_with(char::is_uppercase);
    let starts = |position: usize| {
        let before = &code[..position];
        if before.ends_with(is_word) || before.ends_with('$') {
            return false;
        }
        let owner = before.strip_suffix("::");
        of_a_type || owner.is_none_or(|owner| !owner.ends_with(is_word))
    };
    let positions = code.match_indices(path).map(|(position, _)| position);
    positions.filter(|&position| starts(position)).collect()
}

/// Where a word stands by itself.
fn words(text: &str, word: &str) -> Vec<usize> {
    let alone = |position: usize| {
        let after = &text[position + word.len()..];
        let goes_on = word.ends_with(is_word) && after.starts_with(is_word);
        !text[..position].ends_with(is_word) && !goes_on
    };
    let positions = text.match_indices(word).map(|(position, _)| position);
    positions.filter(|&position| alone(position)).collect()
}

/// The first name of each path in what follows `crate::`: one, or those of a `{..}` group.
fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim_start()
            .chars()
            .take_while(|&c| is_word(c))
            .collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![name(rest)];
    };
    let mut names = vec![name(group)];
    let mut depth = 0;
    for (position, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[position + 1..])),
            _ => {}
        }
    }
    names.retain(|name: &String| !name.is_empty());
    names
}

/// The module from which the crate's root exports a name.
fn exporting_module(root: &str, name: &str) -> Option<String> {
    let mut exports = root
        .split("use ")
        .skip(1)
        .map(|text| text.split(';').next().unwrap_or(text));
    let export = exports.find(|export| !words(export, name).is_empty())?;
    let path = export
        .trim_start_matches("self::")
        .trim_start_matches("crate::");
    first_names(path).into_iter().next()
}

fn string_literals(code: &str) -> impl Iterator<Item = &str> {
    code.split('"').skip(1).step_by(2)
}
