//! Which web pages may connect.

use std::net::IpAddr;

use hyper::header::HeaderValue;

/// Whether a page may connect. Browsers let every page open websockets to everywhere and only name the page's origin; programs that are
/// not browsers send none.
pub(super) fn may_connect(origin: Option<&HeaderValue>, allowed: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if allowed.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin)) {
        return true;
    }
    origin.split_once("://").is_some_and(|(_, authority)| is_here(authority))
}

/// Whether a host, with or without a port, can only be this machine.
pub(super) fn is_here(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_strangers_may_not_connect_unless_allowed() {
        let may = |origin: &str, allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
            may_connect(Some(&HeaderValue::from_str(origin).unwrap()), &allowed)
        };
        assert!(may_connect(None, &[]));
        for local in [
            "http://localhost",
            "http://localhost:5173",
            "http://127.0.0.1:80",
            "http://[::1]:8080",
            "https://a.localhost",
        ] {
            assert!(may(local, &[]), "{local}");
        }
        for strange in [
            "https://evil.example",
            "null",
            "",
            "http://localhost.evil.example",
            "http://notlocalhost",
            "http://192.168.0.7",
            "localhost",
        ] {
            assert!(!may(strange, &["https://app.example"]), "{strange}");
            assert!(may(strange, &["*"]), "{strange}");
        }
        assert!(may("https://app.example", &["https://other.example", "https://App.example"]));
        assert!(!may("https://app.example:444", &["https://app.example"]));
    }
}
