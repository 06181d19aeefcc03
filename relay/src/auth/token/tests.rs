//! Tokens that are in order, and all that somebody might try instead.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::auth::claims::{Access, Replicas};
use crate::auth::keys::{Algorithm, Minted};

const NOW: u64 = 1_700_000_000;

fn rules() -> Rules {
    Rules { audience: None, leeway_s: 30, longest_s: 86_400 }
}

fn minted(algorithm: Algorithm, name: &str, seed: u8) -> Minted {
    Minted::new(algorithm, name, [seed; 32], None).unwrap()
}

fn keys(file: &str) -> Keys {
    Keys::parse(file.as_bytes()).unwrap()
}

/// What a token says, with something changed.
fn claims(change: Value) -> Claims {
    let mut claims = json!({"sub": "alice", "exp": NOW + 600, "documents": {"todo/*": "write", "news": "read"}});
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    serde_json::from_value(claims).unwrap()
}

fn signed(change: Value, keys: &Keys) -> String {
    mint(&claims(change), keys, None).unwrap()
}

/// A token of any header and any claims, with the signature of another one.
fn forged(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn a_token_says_who_may_do_what() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Hs256] {
        let minted = minted(algorithm, "k", 1);
        let signing = keys(&minted.private);
        let verifying = minted.public.as_deref().map_or_else(|| keys(&minted.private), keys);
        let change = json!({
            "jti": "7f3a", "iat": NOW, "presence": false, "limits": {"max_documents": 3}, "something": ["else"],
            "replicas": {"new": 2, "only": ["0123456789abcdef0123456789abcdef"]}
        });
        let verified = verify(signed(change, &signing).as_bytes(), &verifying, &rules(), NOW).unwrap();
        assert_eq!((verified.sub.as_str(), verified.exp, verified.jti.as_deref()), ("alice", NOW + 600, Some("7f3a")));
        assert_eq!(verified.access("todo/a"), Some(Access::Write));
        assert_eq!(verified.access("news"), Some(Access::Read));
        assert_eq!(verified.access("todo"), None);
        assert_eq!(verified.access("news/"), None);
        assert_eq!((verified.presence, verified.limits.max_documents), (false, Some(3)));
        let only = [0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.into()];
        assert_eq!(verified.replicas, Replicas { new: Some(2), only: Some(only.as_slice().into()) });
    }
}

#[test]
fn of_several_patterns_the_strongest_right_counts() {
    let claims = claims(json!({"documents": {"*": "read", "a/*": "write", "a/b": "read"}}));
    assert_eq!(claims.access("a/b"), Some(Access::Write));
    assert_eq!(claims.access("b"), Some(Access::Read));
    assert_eq!(self::claims(json!({"documents": {}})).access("a"), None);
}

#[test]
fn nobody_is_believed_unsigned() {
    let keys = keys(&minted(Algorithm::EdDsa, "k", 1).private);
    let claims = serde_json::to_value(claims(json!({}))).unwrap();
    for alg in ["none", "None", "NONE", "", "HS999"] {
        for signature in ["", "AAAA"] {
            let token = forged(&json!({"alg": alg, "kid": "k"}), &claims, signature);
            assert_eq!(verify(token.as_bytes(), &keys, &rules(), NOW), Err(Refusal::Malformed), "{alg} {signature}");
        }
    }
    let token = forged(&json!({"alg": "EdDSA", "kid": "k"}), &claims, "");
    assert_eq!(verify(token.as_bytes(), &keys, &rules(), NOW), Err(Refusal::Signature));
}

#[test]
fn a_public_key_is_no_secret() {
    // The known confusion: HS256 with the bytes of the public key as the secret, in all the forms that it is written in.
    let minted = minted(Algorithm::EdDsa, "k", 1);
    let public = minted.public.unwrap();
    let verifying = keys(&public);
    let jwk: Value = serde_json::from_str(&public).unwrap();
    let x = jwk["keys"][0]["x"].as_str().unwrap();
    let raw = URL_SAFE_NO_PAD.decode(x).unwrap();
    for secret in [raw.as_slice(), x.as_bytes(), public.as_bytes(), public.trim().as_bytes()] {
        let header = Header { kid: Some("k".into()), ..Header::new(jsonwebtoken::Algorithm::HS256) };
        let key = jsonwebtoken::EncodingKey::from_secret(secret);
        let token = jsonwebtoken::encode(&header, &claims(json!({})), &key).unwrap();
        assert_eq!(verify(token.as_bytes(), &verifying, &rules(), NOW), Err(Refusal::OtherAlgorithm));
    }
    // Nor is a secret a key of another length of hash.
    let secret = Minted::new(Algorithm::Hs256, "k", [1; 32], None).unwrap().private;
    let header = Header { kid: Some("k".into()), ..Header::new(jsonwebtoken::Algorithm::HS512) };
    let key = jsonwebtoken::EncodingKey::from_secret(&[1; 32]);
    let token = jsonwebtoken::encode(&header, &claims(json!({})), &key).unwrap();
    assert_eq!(verify(token.as_bytes(), &keys(&secret), &rules(), NOW), Err(Refusal::OtherAlgorithm));
}

#[test]
fn a_signature_is_of_one_key_one_header_and_one_set_of_claims() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Hs256] {
        let first = minted(algorithm, "first", 1);
        let both = Minted::new(algorithm, "second", [2; 32], Some(&first)).unwrap();
        let verifying = both.public.as_deref().map_or_else(|| keys(&both.private), keys);
        let token = signed(json!({}), &keys(&first.private));
        assert!(verify(token.as_bytes(), &verifying, &rules(), NOW).is_ok());
        let [header, body, signature] = parts(&token);
        let other = signed(json!({"sub": "mallory"}), &keys(&first.private));
        let other_key = URL_SAFE_NO_PAD.encode(
            r#"{"typ":"JWT","alg":"EdDSA","kid":"second"}"#
                .replace("EdDSA", if algorithm == Algorithm::EdDsa { "EdDSA" } else { "HS256" }),
        );
        for wrong in [
            format!("{header}.{}.{signature}", parts(&other)[1]),
            format!("{other_key}.{body}.{signature}"),
            format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
            format!("{header}.{body}."),
        ] {
            assert_eq!(verify(wrong.as_bytes(), &verifying, &rules(), NOW), Err(Refusal::Signature), "{wrong}");
        }
        let unknown = signed(json!({}), &keys(&minted(algorithm, "third", 1).private));
        assert_eq!(verify(unknown.as_bytes(), &verifying, &rules(), NOW), Err(Refusal::UnknownKey));
        // A name that is there, and another key.
        let impostor = signed(json!({}), &keys(&minted(algorithm, "first", 9).private));
        assert_eq!(verify(impostor.as_bytes(), &verifying, &rules(), NOW), Err(Refusal::Signature));
    }
}

#[test]
fn the_times_of_a_token_are_kept_with_leeway() {
    let keys = keys(&minted(Algorithm::Hs256, "k", 1).private);
    let at = |now, change| verify(signed(change, &keys).as_bytes(), &keys, &rules(), now).map(|_| ());
    assert_eq!(at(NOW, json!({"exp": NOW + 1})), Ok(()));
    assert_eq!(at(NOW + 29, json!({"exp": NOW})), Ok(()));
    assert_eq!(at(NOW + 30, json!({"exp": NOW})), Err(Refusal::Expired { ago_s: 30 }));
    assert_eq!(at(NOW, json!({"exp": 0})), Err(Refusal::Expired { ago_s: NOW }));
    assert_eq!(at(NOW, json!({"nbf": NOW + 30})), Ok(()));
    assert_eq!(at(NOW, json!({"nbf": NOW + 31})), Err(Refusal::NotYet { in_s: 31 }));
    assert_eq!(at(NOW, json!({"exp": NOW as f64 + 0.5})), Ok(()));
    let longest = NOW + 86_400 + 30;
    assert_eq!(at(NOW, json!({"exp": longest})), Ok(()));
    assert_eq!(at(NOW, json!({"exp": longest + 1})), Err(Refusal::TooLongLived { for_s: 86_431, limit_s: 86_400 }));
}

#[test]
fn a_token_is_for_this_relay_or_for_nobody_in_particular() {
    let keys = keys(&minted(Algorithm::Hs256, "k", 1).private);
    let named = Rules { audience: Some("us".into()), ..rules() };
    for (aud, rules, expected) in [
        (json!({}), rules(), Ok(())),
        (json!({"aud": "us"}), rules(), Err(Refusal::Audience)),
        (json!({}), named.clone(), Err(Refusal::Audience)),
        (json!({"aud": []}), named.clone(), Err(Refusal::Audience)),
        (json!({"aud": "them"}), named.clone(), Err(Refusal::Audience)),
        (json!({"aud": "us"}), named.clone(), Ok(())),
        (json!({"aud": ["them", "us"]}), named, Ok(())),
    ] {
        let token = signed(aud.clone(), &keys);
        assert_eq!(verify(token.as_bytes(), &keys, &rules, NOW).map(|_| ()), expected, "{aud}");
    }
}

#[test]
fn claims_that_are_not_understood_are_not_half_believed() {
    let keys = keys(&minted(Algorithm::Hs256, "k", 1).private);
    let key = jsonwebtoken::EncodingKey::from_secret(&[1; 32]);
    let header = Header { kid: Some("k".into()), ..Header::default() };
    for change in [
        json!({"exp": null}),
        json!({"exp": "tomorrow"}),
        json!({"exp": -1}),
        json!({"exp": 1e300}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": "s".repeat(257)}),
        json!({"jti": ""}),
        json!({"documents": ["todo/*"]}),
        json!({"documents": {"todo/*": "admin"}}),
        json!({"documents": {"todo/*": {"write": ["m"]}}}),
        json!({"documents": {"to*do": "read"}}),
        json!({"documents": {"": "read"}}),
        json!({"presence": "yes"}),
        json!({"replicas": {"most": 1}}),
        json!({"replicas": {"only": ["alice"]}}),
        json!({"limits": {"max_moons": 1}}),
        json!({"limits": {"max_documents": -1}}),
        json!({"aud": 5}),
    ] {
        let mut claims = json!({"sub": "alice", "exp": NOW + 600});
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        let refused = verify(token.as_bytes(), &keys, &rules(), NOW);
        assert!(matches!(refused, Err(Refusal::Claims { .. })), "{change}: {refused:?}");
    }
    let critical = Header { crit: Some(vec!["b64".into()]), ..header };
    let token = jsonwebtoken::encode(&critical, &claims(json!({})), &key).unwrap();
    assert_eq!(verify(token.as_bytes(), &keys, &rules(), NOW), Err(Refusal::Malformed));
}

#[test]
fn bytes_1_any_bytes_are_a_token_or_refused_and_never_repeated() {
    let keys = keys(&minted(Algorithm::EdDsa, "k", 1).private);
    let token = signed(json!({"sub": "somebody-in-particular"}), &keys);
    let huge = vec![b'a'; MAX_TOKEN + 1];
    assert_eq!(verify(&huge, &keys, &rules(), NOW), Err(Refusal::TooLong { len: MAX_TOKEN + 1 }));
    for other in ["", ".", "..", "...", "a.b.c", "a.b.c.d.e", "ey\0.", "\u{1f600}..", "Bearer x"] {
        assert_eq!(verify(other.as_bytes(), &keys, &rules(), NOW), Err(Refusal::Malformed), "{other}");
    }
    for at in 0..token.len() {
        for bits in [1, 0x20, 0xff] {
            let mut changed = token.clone().into_bytes();
            changed[at] ^= bits;
            let Err(refusal) = verify(&changed, &keys, &rules(), NOW) else { panic!("byte {at} does not count") };
            let told = refusal.to_string();
            assert!(!parts(&token).iter().any(|part| told.contains(part)) && !told.contains("somebody"), "{told}");
        }
        assert!(verify(&token.as_bytes()[..at], &keys, &rules(), NOW).is_err());
    }
}
