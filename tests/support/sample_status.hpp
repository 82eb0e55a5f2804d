#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/status/status_snapshot.hpp"

namespace seedbed::test {

inline peer_status sample_peer(std::string address, double fraction) {
    peer_status peer;
    peer.address = std::move(address);
    peer.port = 6881;
    peer.id = std::string(40, 'a');
    peer.client = "Seedbed 0.1.0";
    peer.fraction = fraction;
    peer.seed = fraction >= 1;
    return peer;
}

inline status_snapshot::image sample_image(std::string name, image_state state, double fraction = 0) {
    status_snapshot::image image;
    auto& status = image.status;
    status.name = std::move(name);
    status.device = "/dev/" + status.name;
    status.mode = image_mode::deploy;
    status.state = state;
    status.info_hash = info_hash::from_hex(std::string(40, 'b'));
    status.total_bytes = 10LL << 30;
    status.piece_length = 16 << 20;
    status.piece_count = 640;
    status.detected = storage_class::nvme;
    status.profile = storage_class::nvme;
    status.engine = "io_uring, depth 64, direct I/O";
    status.fraction = fraction;
    status.bytes_left = static_cast<std::int64_t>((1 - fraction) * static_cast<double>(status.total_bytes));
    return image;
}

inline void set_peers(status_snapshot::image& image, std::vector<peer_status> peers) {
    image.status.peers = static_cast<int>(peers.size());
    image.peers = std::make_shared<std::vector<peer_status> const>(std::move(peers));
}

inline fleet_host sample_host(std::string address, host_state state, double fraction) {
    fleet_host host;
    host.name = address;
    host.address = std::move(address);
    host.port = 6881;
    host.state = state;
    host.fraction = fraction;
    host.seconds = 190;
    host.seen = std::chrono::system_clock::from_time_t(1'769'860'790);
    if (is_complete(state)) {
        host.completed = host.seen;
    }
    return host;
}

/// Four hosts are expected: one is complete, one downloads, one has failed, one was not seen.
inline std::shared_ptr<fleet_status const> sample_fleet() {
    fleet_status fleet;
    fleet.expected = 4;
    fleet.complete = 1;
    fleet.missing = 1;
    fleet.started = std::chrono::system_clock::from_time_t(1'769'860'600);
    fleet.seconds = 200;
    fleet.hosts = {sample_host("192.0.2.17", host_state::verified, 1),
                   sample_host("192.0.2.18", host_state::fetching, 0.61),
                   sample_host("192.0.2.19", host_state::failed, 0.5)};
    fleet.hosts[1].rate = 3.1 * (1 << 20);
    fleet.hosts[2].device = "/dev/sda";
    fleet.hosts[2].disk_class = storage_class::hdd;
    fleet.hosts[2].failure = "write /dev/sda: offset 1048576, length 16384: Input/output error (EIO)";
    return std::make_shared<fleet_status const>(std::move(fleet));
}

/// A daemon at work: one image is being downloaded, one is served, one has failed.
inline status_snapshot sample_snapshot() {
    status_snapshot snapshot;
    snapshot.version = "0.1.0";
    snapshot.taken = std::chrono::system_clock::from_time_t(1'769'860'800);
    snapshot.started = std::chrono::system_clock::from_time_t(1'769'853'300);
    snapshot.uptime_seconds = 7500;
    snapshot.cache = {980, 20, 10'000, 2, 128LL << 20, 1 << 20, 3 << 20};
    snapshot.pool = {256LL << 20, 132LL << 20};

    auto incoming = sample_image("win11", image_state::downloading, 0.4321);
    incoming.status.download_rate = 512LL << 20;
    incoming.status.downloaded = 1000;
    incoming.status.uploaded = 2000;
    incoming.status.device_read = 3000;
    incoming.status.device_written = 4000;
    incoming.status.age_seconds = 20.5;
    incoming.status.phase_seconds = 10.25;
    set_peers(incoming, {sample_peer("192.0.2.1", 1), sample_peer("2001:db8::2", 0.25)});
    snapshot.images.push_back(std::move(incoming));

    auto served = sample_image("debian-12-lab", image_state::seeding, 1);
    served.status.mode = image_mode::seed;
    served.status.device = "/dev/disk/by-id/ata-Samsung_SSD_870_EVO_1TB_S6PTNM0R123456-part1";
    served.status.detected = storage_class::sata_ssd;
    served.status.profile = storage_class::nvme;
    served.status.bytes_left = 0;
    served.status.upload_rate = 98LL << 20;
    served.status.uploaded = 123LL << 30;
    snapshot.images.push_back(std::move(served));

    auto failed = sample_image("data", image_state::failed);
    failed.status.failure = "write /dev/data: offset 1048576, length 16384: Input/output error (EIO)";
    failed.status.total_bytes = 0;
    failed.status.detected = std::nullopt;
    failed.status.profile = std::nullopt;
    failed.status.engine.clear();
    snapshot.images.push_back(std::move(failed));
    return snapshot;
}

} // namespace seedbed::test
