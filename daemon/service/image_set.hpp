#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/settings.hpp"
#include "daemon/image/image_runner.hpp"

namespace seedbed {

/// The images of the daemon, by name, from open() until their device is closed.
///
/// Threads: confined to the main thread. The io_context outlives it.
class image_set {
public:
    using map = std::map<std::string, std::shared_ptr<image_runner>>;

    /// \param on_removed is called after each image is removed.
    image_set(boost::asio::io_context& main, std::function<void()> on_removed);

    /// No image of this name may be open.
    void open(image_settings const& image, image_services const& services);
    /// Closes images. \p closed is called when the last one is gone; immediately if there are none.
    void close(std::vector<std::string> const& names, std::function<void()> closed);
    /// Closes all images that are not already closing.
    void close_all();

    [[nodiscard]] bool empty() const noexcept { return m_images.empty(); }
    [[nodiscard]] map::const_iterator begin() const noexcept { return m_images.begin(); }
    [[nodiscard]] map::const_iterator end() const noexcept { return m_images.end(); }
    /// Throws std::out_of_range if there is no such image.
    [[nodiscard]] image_runner& at(std::string const& name) const { return *m_images.at(name); }
    /// Null if there is no such image.
    [[nodiscard]] image_runner* find(std::string const& name) const noexcept;

    /// Whether an image is being opened, except those whose device is hung.
    [[nodiscard]] bool any_opening() const;
    [[nodiscard]] bool any_moving() const;
    /// Whether an operation on a device has not ended yet.
    [[nodiscard]] bool any_pending() const;
    /// All images in one line; more than eight are counted by state.
    [[nodiscard]] std::string status_line() const;

private:
    boost::asio::io_context& m_main;
    std::function<void()> const m_on_removed;
    map m_images;
};

} // namespace seedbed
