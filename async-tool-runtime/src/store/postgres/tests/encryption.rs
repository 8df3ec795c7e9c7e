//! TLS, with an authority of our own.

use std::path::Path;
use std::process::Command;

use super::*;

/// An authority and a certificate for 127.0.0.1; false where there is no
/// `openssl`.
fn make_certificates(directory: &Path) -> bool {
    const SCRIPT: &str = "set -e; cd \"$1\"; new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'; \
        openssl req -x509 $new -keyout ca.key -out ca.crt -days 2 -subj /CN=authority; \
        openssl req $new -keyout server.key -out server.csr -subj /CN=server; \
        printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > extensions; \
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
          -extfile extensions -out server.crt; \
        chmod 600 server.key; [ \"$(id -u)\" != 0 ] || chown --reference=. server.*";
    if Command::new("openssl").arg("version").output().is_err() {
        return false;
    }
    let made = Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(directory)
        .output()
        .expect("a shell starts");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_used_as_the_url_says() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let data = server.directory().join("data");
    if !make_certificates(&data) {
        return;
    }
    let admin = Admin::connect(&server).await;
    admin.run("ALTER SYSTEM SET ssl = on").await;
    admin.run("SELECT pg_reload_conf()").await;
    let encrypted = async |query: &str| {
        let url = format!("{}?application_name=tls&{query}", server.url());
        let store = PostgresStore::connect(&url).await?;
        let sql = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                   WHERE a.application_name = 'tls' AND s.ssl";
        let count = admin.number(sql).await;
        drop(store);
        while admin
            .number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tls'")
            .await
            > 0
        {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Ok::<bool, StoreError>(count > 0)
    };
    let root = format!("sslrootcert={}", data.join("ca.crt").display());
    // The server reads its settings a moment later.
    let trusted = async {
        while !encrypted(&root).await.is_ok_and(|encrypted| encrypted) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let limit = std::time::Duration::from_secs(10);
    tokio::time::timeout(limit, trusted)
        .await
        .expect("TLS where it is trusted");
    for mode in ["require", "verify-full"] {
        let with_root = encrypted(&format!("sslmode={mode}&{root}")).await;
        assert!(with_root.expect("it is trusted"));
        let error = encrypted(&format!("sslmode={mode}")).await;
        let error = error.expect_err("nobody knows this authority");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    assert!(!encrypted("").await.expect("it connects without"));
    assert!(!encrypted("sslmode=disable").await.expect("it connects"));
}
