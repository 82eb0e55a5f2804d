#include "daemon/service/image_set.hpp"
#include "daemon/image/status_line.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/fmt/fmt.h>

namespace seedbed {

namespace {

constexpr std::size_t max_images_in_line = 8;

} // namespace

image_set::image_set(boost::asio::io_context& main, std::function<void()> on_removed)
    : m_main(main)
    , m_on_removed(std::move(on_removed)) {}

void image_set::open(image_settings const& image, image_services const& services) {
    auto const job = std::make_shared<image_runner>(image, services);
    m_images[image.name] = job;
    job->start();
}

void image_set::close(std::vector<std::string> const& names, std::function<void()> closed) {
    // One more than the number of names: images that close immediately must not call closed() while others remain to be
    // closed.
    auto const left = std::make_shared<std::size_t>(names.size() + 1);
    auto const one_less = [left, closed = std::move(closed)] {
        if (--*left == 0) {
            closed();
        }
    };
    for (auto const& name : names) {
        m_images.at(name)->close([this, name, one_less] {
            // Posted, because the image is still executing this callback.
            boost::asio::post(m_main, [this, name, one_less] {
                m_images.erase(name);
                one_less();
                m_on_removed();
            });
        });
    }
    one_less();
}

void image_set::close_all() {
    std::vector<std::string> names;
    for (auto const& [name, job] : m_images) {
        if (job->state() != image_state::closing && job->state() != image_state::closed) {
            names.push_back(name);
        }
    }
    close(names, [] {});
}

image_runner* image_set::find(std::string const& name) const noexcept {
    auto const found = m_images.find(name);
    return found != m_images.end() ? found->second.get() : nullptr;
}

bool image_set::any_opening() const {
    return std::ranges::any_of(m_images, [](auto const& entry) {
        return entry.second->state() == image_state::opening && !entry.second->hangs_in_opening();
    });
}

bool image_set::any_moving() const {
    return std::ranges::any_of(m_images, [](auto const& entry) { return entry.second->is_moving(); });
}

bool image_set::any_pending() const {
    return std::ranges::any_of(m_images, [](auto const& entry) {
        auto const progress = entry.second->queue_progress();
        return progress && progress->pending > 0;
    });
}

std::string image_set::status_line() const {
    if (m_images.empty()) {
        return "no images";
    }
    std::string text;
    if (m_images.size() <= max_images_in_line) {
        for (auto const& [name, job] : m_images) {
            text += (text.empty() ? "" : "; ") + seedbed::status_line(job->status());
        }
        return text;
    }
    std::map<std::string, int> counts;
    for (auto const& [name, job] : m_images) {
        ++counts[to_string(job->state())];
    }
    for (auto const& [state, count] : counts) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, state);
    }
    return fmt::format("{} images: {}", m_images.size(), text);
}

} // namespace seedbed
