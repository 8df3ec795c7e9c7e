//! What the project says of itself.

use cargo_metadata::{CargoOpt, DependencyKind, MetadataCommand};

/// The stated minimum Rust version is at least that of every dependency that
/// users compile.
#[test]
fn the_stated_msrv_covers_all_dependencies() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .other_options(["--offline".to_owned(), "--locked".to_owned()])
        .exec()
        .expect("cargo metadata works");
    let resolve = metadata.resolve.as_ref().expect("resolved");
    let root = metadata.root_package().expect("the facade");
    let stated = root.rust_version.clone().expect("stated");

    let mut seen = std::collections::BTreeSet::new();
    let mut left = vec![root.id.clone()];
    while let Some(id) = left.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let node = resolve.nodes.iter().find(|node| node.id == id);
        for dependency in node.into_iter().flat_map(|node| &node.deps) {
            let compiled = dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind != DependencyKind::Development);
            if compiled {
                left.push(dependency.pkg.clone());
            }
        }
        let package = &metadata[&id];
        if let Some(needed) = &package.rust_version {
            assert!(
                *needed <= stated,
                "{} {} needs Rust {needed}, stated is {stated}",
                package.name,
                package.version
            );
        }
    }
    assert!(seen.len() > 30, "the graph was walked");
}
