//! The journal as a file, so that what is owed survives the process. Not the machine: nothing is synchronised to the disk.
//!
//! A header, and one record a name: its length, twice, a checksum, the name. A record cut short at the end was never acknowledged,
//! and is ignored; anything else that does not fit may have been any name, so it counts as everything. What no longer fits
//! into the file becomes everything by one byte of the header, so that at each moment the file covers all that is owed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 8] = b"cachejn\x01";
/// Where it stands whether the records are everything that is owed (0), or everything is (1).
const SWITCH: u64 = 8;
const HEADER: u64 = 16;

/// Bytes before the name of a record.
const HEAD: usize = 16;

/// What the file may take on disk, in bytes.
const MOST_BYTES: u64 = 4 << 20;

/// A journal file that this process alone writes.
#[derive(Debug)]
pub(super) struct JournalFile {
    file: File,
    length: u64,
    everything: bool,
}

/// What there is under the path.
#[derive(Debug)]
pub(super) enum Opened {
    Ours(JournalFile, Found),
    /// Another process has it.
    Taken,
}

/// What an earlier process left behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Names(Vec<String>),
    Everything,
}

impl JournalFile {
    /// Opens the file, and makes it where there is none, for its owner alone.
    pub(super) fn open(path: &Path) -> io::Result<Opened> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Opened::Taken),
            Err(TryLockError::Error(problem)) => return Err(problem),
        }
        let mut bytes = Vec::new();
        // One more than it may be: then it is everything, whatever it says.
        (&mut file).take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        let (found, length) = read(&bytes)?;
        let mut journal = Self {
            file,
            length,
            everything: false,
        };
        match found {
            Found::Everything => journal.give_way()?,
            Found::Names(_) if length == 0 => journal.begin()?,
            // What comes next follows the last whole record.
            Found::Names(_) => journal.file.set_len(length)?,
        }
        Ok(Opened::Ours(journal, found))
    }

    /// Adds names. On an error nothing of them may have been written, and the file says everything if it can still be written.
    pub(super) fn append(&mut self, names: &[String]) -> io::Result<()> {
        if self.everything || names.is_empty() {
            return Ok(());
        }
        let mut records = Vec::new();
        for name in names {
            write_record(&mut records, name);
        }
        let length = self.length + records.len() as u64;
        if length > MOST_BYTES {
            return self.give_way();
        }
        let written = self.write_at(self.length, &records);
        if written.is_err() {
            // Part of a record may be there, and hide what comes after it.
            self.give_way()?;
        } else {
            self.length = length;
        }
        written
    }

    /// Nothing is owed any more.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if self.everything || self.length > HEADER {
            self.begin()?;
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        self.file.set_len(self.length.min(HEADER))?;
        let mut header = [0; HEADER as usize];
        for (place, byte) in header.iter_mut().zip(MAGIC) {
            *place = *byte;
        }
        self.write_at(0, &header)?;
        self.length = HEADER;
        self.everything = false;
        Ok(())
    }

    /// Has the file say that everything is owed. One byte first, then the records may go.
    fn give_way(&mut self) -> io::Result<()> {
        self.write_at(SWITCH, &[1])?;
        self.everything = true;
        self.write_at(0, MAGIC)?;
        self.length = HEADER;
        self.file.set_len(HEADER)
    }

    fn write_at(&mut self, place: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(place))?;
        self.file.write_all(bytes)
    }
}

fn write_record(records: &mut Vec<u8>, name: &str) {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    records.extend(length.to_le_bytes());
    // Once more, the other way round: a damaged length must not make the rest look like a record that is not whole.
    records.extend((!length).to_le_bytes());
    records.extend(checksum(name.as_bytes()).to_le_bytes());
    records.extend(name.as_bytes());
}

fn checksum(name: &[u8]) -> u64 {
    xxh3_64(name)
}

/// What a file holds, and where the last whole record ends.
fn read(bytes: &[u8]) -> io::Result<(Found, u64)> {
    let magic = bytes.get(..MAGIC.len()).unwrap_or(bytes);
    if !MAGIC.starts_with(magic) {
        let problem = "it holds something else than a journal; name a file of its own";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    let Some((header, mut rest)) = bytes.split_at_checked(HEADER as usize) else {
        // Made, and not written to.
        return Ok((Found::Names(Vec::new()), 0));
    };
    let sound = header.iter().skip(MAGIC.len()).all(|byte| *byte == 0);
    if !sound || bytes.len() as u64 > MOST_BYTES {
        return Ok((Found::Everything, HEADER));
    }
    let mut names = Vec::new();
    let mut length = HEADER;
    while let Some(record) = next_record(rest) {
        let Ok((name, after)) = record else {
            return Ok((Found::Everything, HEADER));
        };
        names.push(name.to_owned());
        length += (rest.len() - after.len()) as u64;
        rest = after;
    }
    Ok((Found::Names(names), length))
}

/// What does not fit.
struct Damaged;

/// The name of the first record, and what comes after it. `None`: it is not whole.
fn next_record(bytes: &[u8]) -> Option<Result<(&str, &[u8]), Damaged>> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let (lengths, sum) = head.split_at_checked(8)?;
    let (length, again) = lengths.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    let again = u32::from_le_bytes(again.try_into().ok()?);
    let sum = u64::from_le_bytes(sum.try_into().ok()?);
    if length != !again {
        return Some(Err(Damaged));
    }
    let (name, after) = rest.split_at_checked(length as usize)?;
    Some(match std::str::from_utf8(name) {
        Ok(text) if checksum(name) == sum => Ok((text, after)),
        _ => Err(Damaged),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(names: &[&str]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.resize(HEADER as usize, 0);
        for name in names {
            write_record(&mut bytes, name);
        }
        bytes
    }

    fn names_in(bytes: &[u8]) -> Found {
        read(bytes).unwrap().0
    }

    fn names(names: &[&str]) -> Found {
        Found::Names(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_file_cut_anywhere_holds_the_records_before_the_cut() {
        let all = ["gen@video", "video:1\n", "", "vidéo:2"];
        let whole = file_of(&all);
        assert_eq!(names_in(&whole), names(&all));

        for cut in 0..whole.len() {
            let before = (0..=all.len()).rev();
            let mut before = before.filter(|count| file_of(&all[..*count]).len() <= cut);
            let count = before.next().unwrap_or(0);
            let (found, length) = read(&whole[..cut]).unwrap();
            assert_eq!(found, names(&all[..count]), "cut at {cut}");
            assert!(length <= cut as u64);
        }
    }

    #[test]
    fn a_byte_that_was_changed_hides_nothing_that_comes_after_it() {
        let all = ["gen@video", "video:1", "video:2"];
        let whole = file_of(&all);
        for place in MAGIC.len()..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            let found = names_in(&damaged);
            let last = file_of(&all[..2]).len();
            let hidden = place < last && found != Found::Everything;
            assert!(!hidden, "{place}: {found:?}");
        }
    }

    /// A path of this test's own.
    fn path(name: &str) -> std::path::PathBuf {
        let name = format!("cache-journal-{}-{name}", std::process::id());
        std::env::temp_dir().join(name)
    }

    #[track_caller]
    fn open(path: &Path) -> (JournalFile, Found) {
        match JournalFile::open(path).unwrap() {
            Opened::Ours(file, found) => (file, found),
            Opened::Taken => panic!("it is taken"),
        }
    }

    #[test]
    fn what_was_appended_is_found_until_it_is_settled() {
        let path = path("appended");
        let (mut file, found) = open(&path);
        assert_eq!(found, names(&[]));
        file.append(&["gen@video".into(), "video:1".into()])
            .unwrap();
        assert!(matches!(JournalFile::open(&path).unwrap(), Opened::Taken));
        // As a process leaves it that is killed in the middle of a record.
        file.write_at(file.length, &[7, 0, 0]).unwrap();
        drop(file);

        let (mut file, found) = open(&path);
        assert_eq!(found, names(&["gen@video", "video:1"]));
        file.append(&["video:2".into()]).unwrap();
        drop(file);

        let (mut file, found) = open(&path);
        assert_eq!(found, names(&["gen@video", "video:1", "video:2"]));
        file.clear().unwrap();
        drop(file);
        assert_eq!(open(&path).1, names(&[]));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_no_longer_fits_is_everything() {
        let path = path("full");
        let (mut file, _) = open(&path);
        let name = "x".repeat(1 << 20);
        for _ in 0..5 {
            file.append(std::slice::from_ref(&name)).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() <= MOST_BYTES);
        drop(file);

        let (mut file, found) = open(&path);
        assert_eq!(found, Found::Everything);
        file.clear().unwrap();
        file.append(&["video:1".into()]).unwrap();
        drop(file);
        assert_eq!(open(&path).1, names(&["video:1"]));
        std::fs::remove_file(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn nobody_but_its_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let path = path("private");
        drop(open(&path));

        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_of_somebody_elses_is_left_alone() {
        assert!(read(b"[settings]\n").is_err());
        assert!(read(b"c").is_ok() && read(b"").is_ok());
    }
}
