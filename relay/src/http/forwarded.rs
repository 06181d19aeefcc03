//! Who is at the other end, when there is a proxy between.

use std::net::IpAddr;

use hyper::HeaderMap;
use ipnet::IpNet;

/// Whether what somebody says of others is believed.
pub(crate) fn is_trusted(peer: IpAddr, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|net| net.contains(&peer))
}

/// The address of the client: of whoever connected here, or, as long as that is a trusted proxy, of whom it says that it forwards for. What
/// comes before the last proxy that is trusted could be anybody's words.
pub(super) fn client(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let said: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut client = peer;
    for address in said.iter().rev() {
        // Some proxies add a port.
        let address = address.trim();
        let parsed =
            address.parse::<IpAddr>().ok().or_else(|| Some(address.parse::<std::net::SocketAddr>().ok()?.ip()));
        let Some(address) = parsed else { break };
        client = address.to_canonical();
        if !is_trusted(client, trusted) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed_and_only_the_last_that_is_not_counts() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "::1/128"].iter().map(|net| net.parse().unwrap()).collect();
        let client = |peer: &str, said: &[&str]| {
            let mut headers = HeaderMap::new();
            for said in said {
                headers.append("x-forwarded-for", HeaderValue::from_str(said).unwrap());
            }
            client(&headers, peer.parse().unwrap(), &trusted).to_string()
        };
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1", "a stranger may say what it likes");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 198.51.100.7", "10.0.0.2"]), "198.51.100.7");
        assert_eq!(client("::1", &["nonsense, 10.9.9.9"]), "10.9.9.9");
    }
}
