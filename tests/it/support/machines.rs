//! Machines of a test's own: each is a network namespace that reaches the loopback address of this
//! machine by a cable, and the cable can be cut. Nothing leaves this machine. Ends with the
//! process that holds it; starts no program itself.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A hardware address that nobody has: what is sent there is heard by nobody.
const NOBODY: &str = "02:00:00:00:00:01";

/// What of the network is lost. No side is told: both wait for answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Whatever is sent, either way.
    Both,
    /// What is sent to the machine; what it asks for still happens.
    Answers,
}

/// A network namespace, held open by a process.
#[derive(Debug)]
pub(crate) struct Machine {
    holder: Child,
    /// The ends of the cable: here, and there.
    ends: [String; 2],
    addresses: [String; 2],
}

impl Machine {
    /// The `n`-th of this process, from 0.
    pub(crate) fn new(n: u8) -> Self {
        let pid = std::process::id();
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`unshare` of util-linux is needed on the PATH");
        let mut said = String::new();
        let out = holder.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut said).unwrap();
        assert_eq!(
            said, "ready\n",
            "network namespaces are needed, and root to make them"
        );
        // A network that is set apart for tests of networks (RFC 2544).
        let address = |host: u8| format!("198.18.{}.{}", pid % 256, 4 * n + host);
        let machine = Self {
            holder,
            ends: ["h", "m"].map(|end| format!("so{pid}{end}{n}")),
            addresses: [1, 2].map(address),
        };
        machine.lay_cable();
        machine
    }

    fn lay_cable(&self) {
        let [here, there] = &self.ends;
        let [near, far] = &self.addresses;
        let pid = self.holder.id();
        shell(&format!(
            "ip link add {here} type veth peer name {there} netns {pid}
             ip addr add {near}/30 dev {here}
             ip link set {here} up
             echo 1 >/proc/sys/net/ipv4/conf/{here}/route_localnet"
        ));
        // It has no loopback of its own: that address is at the other end of the cable.
        self.inside(&format!(
            "ip addr add {far}/30 dev {there}
             ip link set {there} up
             echo 1 >/proc/sys/net/ipv4/conf/{there}/route_localnet
             ip route add 127.0.0.1/32 via {near}"
        ));
    }

    fn inside(&self, script: &str) {
        run(&self.entrance(), script);
    }

    /// The command that starts a program on it.
    pub(crate) fn entrance(&self) -> Vec<String> {
        let pid = self.holder.id().to_string();
        ["nsenter", "--target", &pid, "--net"]
            .map(str::to_owned)
            .to_vec()
    }

    pub(crate) fn cut(&self, cut: Cut) {
        let [here, there] = &self.ends;
        let [near, far] = &self.addresses;
        let lost = |address, end| {
            format!("ip neigh replace {address} lladdr {NOBODY} nud permanent dev {end}")
        };
        shell(&lost(far, here));
        if cut == Cut::Both {
            self.inside(&lost(near, there));
        }
    }

    /// It is back, however it was cut off. Taken out is what was put in: of its own accord the
    /// kernel keeps a neighbour or has none.
    pub(crate) fn join(&self, cut: Cut) {
        let [here, there] = &self.ends;
        let [near, far] = &self.addresses;
        shell(&format!("ip neigh del {far} dev {here}"));
        if cut == Cut::Both {
            self.inside(&format!("ip neigh del {near} dev {there}"));
        }
    }
}

impl Drop for Machine {
    /// The cable would go with the namespace, but some time later: the next machine of this name
    /// needs another at once.
    fn drop(&mut self) {
        let [here, _] = &self.ends;
        Command::new("ip").args(["link", "del", here]).status().ok();
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}

fn shell(script: &str) {
    run(&[], script);
}

fn run(entrance: &[String], script: &str) {
    let words = [entrance, &["sh", "-ec", script].map(str::to_owned)].concat();
    let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "root is needed, and `ip` of iproute2: {script}: {said}"
    );
}
