//! Archives that were made to do harm, byte by byte, and ordinary ones.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use async_tool::ToolError;
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::{Call, Fixture};
use crate::stage::Limits;

/// An archive under construction. Names and links are written as they are,
/// which the `tar` crate's own methods would refuse to do.
struct Craft(Builder<Vec<u8>>);

impl Craft {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(self, kind: EntryType, name: &str, link: &str, content: &[u8]) -> Self {
        let size = content.len() as u64;
        self.raw(kind, 0o644, size, name, link, content)
    }

    fn raw(
        mut self,
        kind: EntryType,
        mode: u32,
        size: u64,
        name: &str,
        link: &str,
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, "", content)
    }

    fn directory(self, name: &str) -> Self {
        self.raw(EntryType::Directory, 0o755, 0, name, "", b"")
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name, target, b"")
    }

    fn gzip(self) -> Vec<u8> {
        gzip(&self.0.into_inner().unwrap())
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Deploys an archive where little fits in.
async fn deploy(archive: &[u8]) -> (Fixture, Result<(), ToolError>) {
    let mut fixture = Fixture::new();
    fixture.deployments.limits = Limits {
        bytes: 64 * 1024,
        entries: 20,
    };
    fs::write(fixture.artifact("made.tar.gz"), archive).unwrap();
    let call = Call {
        artifact: "made.tar.gz",
        ..Call::default()
    };
    let deployed = fixture.deploy(call).await.map(drop);
    (fixture, deployed)
}

/// The archive is refused with this code and these words, and nothing is left.
async fn refused(archive: &[u8], code: &str, words: &str) {
    let (fixture, deployed) = deploy(archive).await;
    let error = deployed.expect_err(words);
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(words), "{error}, not: {words}");
    assert_eq!(fixture.listing(), ["releases"], "{words}");
}

async fn unsafe_because(craft: Craft, words: &str) {
    refused(&craft.gzip(), "unsafe_artifact", words).await;
}

#[tokio::test]
async fn an_ordinary_archive_is_unpacked_as_it_is() {
    let long_name = "n".repeat(200);
    let mut craft = Craft::new()
        .directory("./")
        .directory("bin/")
        .raw(EntryType::Regular, 0o775, 3, "bin/run", "", b"run")
        .raw(EntryType::Regular, 0o600, 6, "secret", "", b"secret")
        .file("deep/in/there", b"x")
        .hard_link("bin/again", "./bin/run")
        .link("latest", "deep/in/../in/there")
        .link("deep/up", "..")
        .link("round", "deep/up/latest")
        .link("self", ".")
        .entry(
            EntryType::XGlobalHeader,
            "pax_global_header",
            "",
            b"17 comment=hello\n",
        );
    let mut header = Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    craft
        .0
        .append_data(&mut header, &long_name, &b"long"[..])
        .unwrap();

    let (fixture, deployed) = deploy(&craft.gzip()).await;
    deployed.unwrap();
    let read = |path: &str| fs::read_to_string(fixture.path("current").join(path)).unwrap();
    assert_eq!(read("bin/run"), "run");
    assert_eq!(read("round"), "x");
    assert_eq!(read(&long_name), "long");
    assert_eq!(read("self/self/secret"), "secret");
    let metadata = |path: &str| fixture.path("current").join(path).metadata().unwrap();
    let mode = |path: &str| metadata(path).permissions().mode() & 0o7777;
    assert_eq!(mode(""), 0o755, "others may read it");
    assert_eq!(mode("bin/run"), 0o755, "nobody but its owner writes");
    assert_eq!(mode("secret"), 0o600);
    assert_eq!(metadata("bin/run").ino(), metadata("bin/again").ino());
}

#[tokio::test]
async fn paths_that_lead_outside_are_refused() {
    for name in ["../evil", "/evil", "a/../../evil", "a/../evil", ".."] {
        unsafe_because(Craft::new().file(name, b"x"), "leads outside the release").await;
        unsafe_because(Craft::new().directory(name), "leads outside the release").await;
        unsafe_because(Craft::new().link(name, "x"), "leads outside the release").await;
    }
    unsafe_because(
        Craft::new().file("./", b"").file(".", b"x"),
        "is the release itself",
    )
    .await;
}

#[tokio::test]
async fn links_that_lead_outside_are_refused() {
    for target in ["/etc", "..", "../x", "./../..", "a/../..", "a/../../web"] {
        let craft = Craft::new().directory("a").link("link", target);
        unsafe_because(craft, "`link` in the artifact is a link that leads outside").await;
    }
    // Each of them looks harmless by itself.
    let craft = Craft::new()
        .directory("a/b/c")
        .link("a/b/c/up", "../../..")
        .link("out", "a/b/c/up/../x");
    unsafe_because(craft, "`out` in the artifact is a link that leads outside").await;
    // Whether it exists where it would have led does not matter.
    let craft = Craft::new().link("a", "b/../../../../etc").link("b", ".");
    unsafe_because(craft, "leads outside").await;
}

#[tokio::test]
async fn links_that_lead_nowhere_are_refused() {
    let circle = Craft::new().link("a", "b").link("b", "a");
    unsafe_because(circle, "leads in circles").await;
    unsafe_because(Craft::new().link("a", "a"), "leads in circles").await;
    unsafe_because(Craft::new().link("a", "a/a/a"), "leads in circles").await;
    unsafe_because(Craft::new().link("a", "missing"), "leads to nothing").await;
    let through = Craft::new().file("file", b"x").link("a", "file/../file");
    unsafe_because(through, "leads to nothing").await;
    unsafe_because(Craft::new().link("a", ".release.json"), "leads to nothing").await;
}

#[tokio::test]
async fn nothing_is_written_through_a_link() {
    let inside = || Craft::new().directory("a").link("link", "a");
    let outside = || Craft::new().link("link", "/tmp");
    for craft in [inside(), outside()] {
        unsafe_because(craft.file("link/evil", b"x"), "is no directory").await;
    }
    for craft in [inside(), outside()] {
        unsafe_because(craft.directory("link/"), "is no directory").await;
    }
    for craft in [inside(), outside()] {
        unsafe_because(craft.file("link", b"x"), "is there twice").await;
    }
}

#[tokio::test]
async fn hard_links_lead_to_files_of_the_artifact_alone() {
    let craft = || {
        Craft::new()
            .directory("a")
            .link("link", "a")
            .file("file", b"x")
    };
    for target in [
        "/etc/passwd",
        "../x",
        "a",
        "link",
        "later",
        "",
        ".release.json",
    ] {
        let craft = craft().hard_link("hard", target).file("later", b"x");
        unsafe_because(craft, "`hard` in the artifact is a hard link to").await;
    }
    let twice = craft().hard_link("file", "file");
    unsafe_because(twice, "is there twice").await;
}

#[tokio::test]
async fn what_is_neither_file_nor_directory_nor_link_is_refused() {
    for kind in [
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::new(b'?'),
    ] {
        let craft = Craft::new().entry(kind, "odd", "", b"");
        unsafe_because(craft, "`odd` in the artifact is neither").await;
    }
}

#[tokio::test]
async fn rights_of_others_are_refused() {
    for mode in [0o4755, 0o2755, 0o6777] {
        let craft = Craft::new().raw(EntryType::Regular, mode, 0, "su", "", b"");
        unsafe_because(craft, "setuid").await;
    }
}

#[tokio::test]
async fn what_is_there_twice_is_refused() {
    let twice = Craft::new().file("a", b"1").file("./a", b"2");
    unsafe_because(twice, "is there twice").await;
    let directory = Craft::new().directory("a").file("a", b"2");
    unsafe_because(directory, "is there twice").await;
    let inside = Craft::new().file("a", b"1").file("a/b", b"2");
    unsafe_because(inside, "`a` in the artifact is no directory").await;
    for name in [".release.json", "./.release.json"] {
        unsafe_because(Craft::new().file(name, b"{}"), "this server needs").await;
    }
}

#[tokio::test]
async fn bombs_are_refused_before_they_take_what_they_announce() {
    const TOO_LARGE: &str = "artifact_too_large";
    let large = Craft::new().file("large", &vec![0; 70_000]).gzip();
    refused(&large, TOO_LARGE, "more than 65536 bytes").await;
    let two = Craft::new()
        .file("one", &vec![0; 40_000])
        .file("two", &vec![0; 40_000]);
    refused(&two.gzip(), TOO_LARGE, "more than 65536 bytes").await;
    let lie = Craft::new().raw(EntryType::Regular, 0o644, u64::MAX / 2, "lie", "", b"x");
    refused(&lie.gzip(), TOO_LARGE, "more than 65536 bytes").await;

    let many = (0..21).fold(Craft::new(), |craft, number| {
        craft.file(&format!("file{number}"), b"")
    });
    refused(&many.gzip(), TOO_LARGE, "more than 20 files").await;
    let deep = Craft::new().file(&"d/".repeat(25), b"");
    refused(&deep.gzip(), TOO_LARGE, "more than 20 files").await;

    const UNREADABLE: &str = "artifact_unreadable";
    // A kilobyte of archive that is a name of a megabyte.
    let name = vec![b'x'; 1024 * 1024];
    for kind in [
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XHeader,
    ] {
        let craft = Craft::new()
            .entry(kind, "name", "", &name)
            .file("short", b"");
        refused(&craft.gzip(), UNREADABLE, "at too great length").await;
    }
    let comment = Craft::new().entry(EntryType::XGlobalHeader, "g", "", &name);
    refused(
        &comment.file("f", b"").gzip(),
        UNREADABLE,
        "at too great length",
    )
    .await;
    let mut trailer = Craft::new().file("f", b"").0.into_inner().unwrap();
    trailer.resize(trailer.len() + 20 * 1024 * 1024, 0);
    refused(&gzip(&trailer), UNREADABLE, "at too great length").await;
}

#[tokio::test]
async fn a_damaged_archive_is_refused() {
    const UNREADABLE: &str = "artifact_unreadable";
    let whole = Craft::new().file("a", b"a").file("b", b"b").gzip();
    for length in [0, 5, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..length], UNREADABLE, "cannot be read").await;
    }
    let mut damaged = whole.clone();
    let checksum = whole.len() - 8;
    damaged[checksum] ^= 1;
    refused(&damaged, UNREADABLE, "cannot be read").await;

    // The gzip is whole, and the archive in it is not.
    let plain = Craft::new().file("a", &[7; 3000]).0.into_inner().unwrap();
    refused(
        &gzip(&plain[..1024]),
        "unsafe_artifact",
        "shorter than announced",
    )
    .await;
}

#[tokio::test]
async fn a_directory_is_held_to_the_same_rules() {
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil); 4] = [
        ("leads outside", |app| {
            std::os::unix::fs::symlink("/etc", app.join("etc")).unwrap();
        }),
        ("neither a file", |app| {
            let mut make = std::process::Command::new("mkfifo");
            assert!(make.arg(app.join("pipe")).status().unwrap().success());
        }),
        ("this server needs", |app| {
            fs::write(app.join(".release.json"), "{}").unwrap();
        }),
        ("setuid", |app| {
            let permissions = fs::Permissions::from_mode(0o4755);
            fs::set_permissions(app.join("bin/run"), permissions).unwrap();
        }),
    ];
    for (words, spoil) in cases {
        let fixture = Fixture::new();
        spoil(&fixture.artifact("app"));
        let error = fixture.deploy(Call::default()).await.unwrap_err();
        assert_eq!(error.code(), "unsafe_artifact");
        assert!(error.to_string().contains(words), "{error}, not: {words}");
        assert_eq!(fixture.listing(), ["releases"], "{words}");
    }

    let mut fixture = Fixture::new();
    fixture.deployments.limits.entries = 2;
    let error = fixture.deploy(Call::default()).await.unwrap_err();
    assert_eq!(error.code(), "artifact_too_large");
}
