#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "config/settings.hpp"
#include "core/backend/backend.hpp"
#include "core/device/file_block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/ends_last_device.hpp"
#include "daemon/fleet/report_sink.hpp"
#include "daemon/image/checkpoint_store.hpp"
#include "daemon/image/ended_deployment.hpp"
#include "daemon/image/packed_plan.hpp"
#include "daemon/swarm/image_swarm.hpp"

namespace seedbed {

/// The services that all images share. The references outlive every image_runner.
struct image_services {
    boost::asio::io_context& main;
    worker_pool& setup; ///< for work that takes more than a millisecond: loading torrents, opening and closing devices
    std::shared_ptr<backend> shared;
    image_swarm& swarm;
    std::function<seedbed::settings const&()> settings; ///< the current settings
    std::function<void()> on_change;                    ///< called after every change of state
    checkpoint_store& checkpoints;
    report_sink* reports = nullptr; ///< takes the outcome of deployments; may be null
    /// Makes the packed receipt that is reported with the outcome; may be empty.
    std::function<std::string(ended_deployment const&)> make_receipt = {};
    std::function<std::uint16_t()> report_port = {}; ///< where this daemon accepts reports; 0: nowhere
    /// Do not read back an image that was verified before, on a device that has not been written to since.
    bool trust_proof = true;
    /// Opens an image's device, on a worker.
    std::function<result<std::unique_ptr<block_device>, device_refusal>(std::string const& path,
                                                                        device_requirements const& requirements)>
        open_device = open_block_device;
    std::chrono::milliseconds source_interval{5'000}; ///< between two checks of the source of a seed
    /// Before a peer that sent a damaged piece is connected again, for the first time.
    std::chrono::milliseconds damage_pause{1'000};
    /// Between two looks at the pieces that a deployment has written, to read them back.
    std::chrono::milliseconds read_back_interval{1'000};
    std::shared_ptr<peer_record> record = {};         ///< see torrent_spec::record
    std::string job = {};                             ///< the job that the only deployment belongs to; empty: none
    bool serve_torrents = false;                      ///< keep the .torrent of each image, to be served over HTTP
    std::shared_ptr<shared_secret const> secret = {}; ///< see torrent_spec::secret
    /// The plan for the one packed image that is deployed; null: it is made when the device is opened.
    std::shared_ptr<packed_plan const> plan = {};
    /// What a deployment writes last of a raw image, or of a packed image without a layout.
    device_ends ends = {};
};

} // namespace seedbed
