//! The network between replicas and their store, which can be cut.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to a port of loopback.
pub(crate) struct Link {
    pub(crate) port: u16,
    up: watch::Sender<bool>,
}

impl Link {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback");
        let up = watch::Sender::new(true);
        let link = Self {
            port: listener.local_addr().expect("bound").port(),
            up: up.clone(),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let up = up.subscribe();
                tokio::spawn(forward(stream, (Ipv4Addr::LOCALHOST, port).into(), up));
            }
        });
        link
    }

    /// All connections break, and new ones break at once.
    pub(crate) fn cut(&self) {
        self.up.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.up.send_replace(true);
    }
}

async fn forward(mut near: TcpStream, to: SocketAddr, mut up: watch::Receiver<bool>) {
    let forwarding = async {
        if let Ok(mut far) = TcpStream::connect(to).await {
            let _ = far.set_nodelay(true);
            let _ = near.set_nodelay(true);
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    };
    tokio::select! {
        () = forwarding => {}
        _ = up.wait_for(|up| !up) => {}
    }
}
