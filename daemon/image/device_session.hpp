#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "config/settings.hpp"
#include "core/backend/served_image.hpp"
#include "core/foundation/error.hpp"
#include "daemon/image/image_failure.hpp"
#include "daemon/image/image_opener.hpp"
#include "daemon/image/image_services.hpp"
#include "daemon/image/main_calls.hpp"

namespace seedbed {

/// An image's device, from opening to closing:
///
///     unopened -> opening -> open -> closing -> closed
///                 opening -> closed                       it could not be opened
///
/// Threads: confined to the main thread; blocking work runs on the services' workers.
class device_session {
public:
    enum class phase : std::uint8_t { unopened, opening, open, closing, closed };
    struct traffic {
        std::int64_t read = 0;    ///< bytes of the device
        std::int64_t written = 0; ///< bytes of the device
        std::int64_t fetched = 0; ///< bytes of the image received for writing
    };
    using clock = std::chrono::steady_clock;
    using opened_handler = std::function<void(result<opened_image, image_failure> const&)>;

    explicit device_session(image_services const& services)
        : m_services(services)
        , m_calls(services.main) {}

    /// Must be called once. \p opened is called with the outcome; after a success, \p closed is called when the device
    /// is closed.
    void open(image_settings const& settings, bool use_checkpoint, opened_handler opened, std::function<void()> closed);
    /// Releases the image, which other owners may keep for a while. Does nothing unless the device is open.
    void release();

    /// When a worker began to open the device; nothing before that and after the attempt has ended.
    [[nodiscard]] std::optional<clock::time_point> opening_since() const noexcept { return m_opening_since; }
    /// The device hangs during opening: replaces its worker with another one until the attempt ends. Does nothing
    /// unless a worker is opening the device and has not been replaced yet.
    void replace_worker();
    /// Whether replace_worker() has replaced the worker that is opening the device.
    [[nodiscard]] bool worker_replaced() const noexcept { return m_worker_replaced; }

    [[nodiscard]] phase current() const noexcept { return m_phase; }
    /// Null unless the device is open.
    [[nodiscard]] std::shared_ptr<served_image> const& image() const noexcept { return m_image; }
    /// Since the device was opened; after release(), the values at that time.
    [[nodiscard]] traffic moved() const;

private:
    void on_opening_ended();
    void on_closed();

    image_services const& m_services;
    phase m_phase = phase::unopened;
    std::optional<clock::time_point> m_opening_since;
    bool m_worker_replaced = false;
    std::shared_ptr<served_image> m_image;
    traffic m_last; ///< at the time of release()
    std::function<void()> m_on_closed;
    main_calls m_calls;
};

} // namespace seedbed
