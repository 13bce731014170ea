use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::*;

/// Files of a listener.
struct Home {
    directory: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Home {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let home = Self { directory: tempfile::tempdir().unwrap(), issuer };
        home.write("ca", &home.issuer.pem());
        let (certificate, key) = home.pair();
        home.write("certificate", &certificate);
        home.write("key", &key);
        home
    }

    fn pair(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    fn credentials(&self) -> Credentials {
        let path = |name| self.directory.path().join(name);
        let files = Files {
            service: Service::Signing,
            certificate: path("certificate"),
            key: path("key"),
            client_ca: path("ca"),
        };
        let material = Material::load(&files).unwrap();
        Credentials::new(files, material, Metrics::with_tls(&[Service::Signing]))
    }
}

impl Credentials {
    fn fingerprint(&self) -> Fingerprint {
        self.current.borrow().fingerprint
    }

    fn has_failed(&self) -> bool {
        self.metrics
            .encode()
            .unwrap()
            .contains("\ncountersign_tls_reload_failed{listener=\"signing\"} 1\n")
    }
}

/// Files that are written one after another are not taken, and not complained of,
/// until they stay as they are.
#[test]
fn a_set_is_taken_when_it_was_seen_twice() {
    let home = Home::new();
    let credentials = home.credentials();
    let first = credentials.fingerprint();
    let (certificate, key) = home.pair();
    home.write("certificate", &certificate);
    credentials.look(false);
    assert!(!credentials.has_failed(), "its key may be under way");
    home.write("key", &key);
    credentials.look(false);
    assert_eq!(credentials.fingerprint(), first, "an authority may be under way");
    credentials.look(false);
    assert_ne!(credentials.fingerprint(), first);
    assert!(!credentials.has_failed());

    home.write("key", "");
    credentials.look(false);
    assert!(!credentials.has_failed());
    credentials.look(false);
    assert!(credentials.has_failed());
    home.write("key", &key);
    credentials.look(false);
    assert!(!credentials.has_failed(), "it is as it was");
}

/// Whoever says that the files are complete is taken at their word.
#[test]
fn a_reload_is_at_once() {
    let home = Home::new();
    let credentials = home.credentials();
    let first = credentials.fingerprint();
    let (certificate, key) = home.pair();
    home.write("certificate", &certificate);
    credentials.reload();
    assert!(credentials.has_failed());
    assert_eq!(credentials.fingerprint(), first);
    home.write("key", &key);
    credentials.reload();
    assert!(!credentials.has_failed());
    assert_ne!(credentials.fingerprint(), first);
}

/// What is above a client's certificate may expire first.
#[tokio::test]
async fn a_chain_lapses_with_its_intermediate() {
    let home = Home::new();
    let credentials = home.credentials();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "intermediate");
    params.not_after = (SystemTime::now() + Duration::from_secs(2)).into();
    let key = KeyPair::generate().unwrap();
    let intermediate = CertifiedIssuer::signed_by(params, key, &home.issuer).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::default().signed_by(&key, &intermediate).unwrap();
    let chain = [leaf.der().clone(), intermediate.as_ref().der().clone()];

    let often = Duration::from_millis(100);
    let lapsed = timeout(Duration::from_secs(10), credentials.lapse(&chain, often));
    let begun = Instant::now();
    let error = lapsed.await.expect("it is noticed");
    assert!(begun.elapsed() > Duration::from_millis(500), "{error}");
    assert!(error.to_string().contains("expired"), "{error}");
    let error = credentials.lapse(&[], often).await;
    assert!(matches!(error, rustls::Error::NoCertificatesPresented));
}

/// What is no file of a sensible size is not read, and nothing waits for it.
#[test]
fn only_files_of_some_size_are_read() {
    let home = Home::new();
    let credentials = home.credentials();
    let key = home.directory.path().join("key");
    let problem = || {
        let problems = Material::load(&credentials.files).err().unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].to_string()
    };
    fs::write(&key, vec![b'\n'; 1024 * 1024 + 1]).unwrap();
    assert!(problem().ends_with("is longer than 1024 KiB"));
    fs::remove_file(&key).unwrap();
    assert!(problem().contains("cannot be read: "));
    fs::create_dir(&key).unwrap();
    assert!(problem().ends_with("is not a file"));
    fs::remove_dir(&key).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &key,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(problem().ends_with("is not a file"));
}

#[test]
fn a_certificate_ages_by_its_own_length() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let age = |now| Age::at(at(now), at(1000), at(2000));
    assert_eq!([age(0), age(1000), age(1800)], [Age::Fresh; 3]);
    assert_eq!([age(1801), age(2000)], [Age::Ending; 2]);
    assert_eq!([age(2001), age(3000)], [Age::Expired; 2]);
    assert_eq!(Age::at(at(5), at(9), at(3)), Age::Expired, "ends before it begins");
}
