#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "config/settings.hpp"
#include "core/backend/served_image.hpp"
#include "core/device/io_profile.hpp"
#include "core/layout/disk_layout.hpp"
#include "daemon/image/image_failure.hpp"
#include "daemon/image/image_services.hpp"
#include "daemon/image/image_state.hpp"
#include "daemon/image/swarm_membership.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/swarm/torrent_listener.hpp"
#include "daemon/swarm/torrent_spec.hpp"

namespace seedbed {

/// What the parts of an image see of it, and the requests that they can make: implemented by image_runner, which
/// outlives them.
///
/// Threads: confined to the main thread.
class image_context {
public:
    [[nodiscard]] virtual image_settings const& settings() const = 0;
    [[nodiscard]] virtual image_services const& services() const = 0;
    /// Null while the device is not open.
    [[nodiscard]] virtual std::shared_ptr<served_image> const& image() const = 0;
    [[nodiscard]] virtual image_state state() const = 0;
    /// About the device that is being deployed to, without warnings; empty while the device is not open.
    [[nodiscard]] virtual target_facts const& facts() const = 0;
    /// The receipt of a deployment that ends now, packed, see receipt_text.hpp; empty without
    /// image_services::make_receipt.
    [[nodiscard]] virtual std::string receipt(disk_layout const* written) const = 0;
    /// Time since the image was started, and since the current state began.
    [[nodiscard]] virtual double age_seconds() const = 0;
    [[nodiscard]] virtual double phase_seconds() const = 0;
    /// The current profile.
    [[nodiscard]] virtual io_profile const& profile() const = 0;
    /// As last reported by the swarm.
    [[nodiscard]] virtual torrent_progress& progress() = 0;
    [[nodiscard]] virtual swarm_membership& membership() = 0;

    /// The torrent as the image's settings describe it, to be completed by the caller.
    [[nodiscard]] virtual torrent_spec make_spec() const = 0;
    virtual void join(torrent_spec const& spec) = 0;
    /// Changes the state. A transition that is_legal() refuses fails the image.
    virtual void enter(image_state next) = 0;
    /// Only the first failure counts; later ones, and those of an image that is closing, are dropped.
    virtual void fail(image_failure const& why) = 0;

    [[nodiscard]] log_fields fields() const { return {settings().name, settings().device, {}}; }

protected:
    ~image_context() = default;
};

} // namespace seedbed
