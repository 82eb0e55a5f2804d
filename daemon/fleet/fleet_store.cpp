#include "daemon/fleet/fleet_store.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include <boost/asio/post.hpp>
#include <nlohmann/json.hpp>

#include "core/foundation/state_file.hpp"
#include "daemon/log/logging.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Enough for a million hosts.
constexpr std::int64_t largest_record = 256U << 20;
constexpr std::size_t longest_image_name = 64;

bool is_safe_in_file_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

result<std::shared_ptr<saved_fleet const>> load_record(std::string const& path) {
    auto const text = load_state_file(path, largest_record);
    if (!text) {
        return tl::unexpected(text.error());
    }
    if (!*text) {
        return nullptr;
    }
    auto saved = saved_fleet::from_json(json::parse(**text, nullptr, false));
    if (!saved) {
        return tl::unexpected(error{path + ": " + saved.error().message});
    }
    return std::make_shared<saved_fleet const>(std::move(*saved));
}

} // namespace

/// The part shared with the jobs.
struct fleet_store::shared {
    std::mutex write_mutex;                                      ///< one file is written at a time
    std::mutex mutex;                                            ///< guards the members below
    std::map<std::string, std::function<std::string()>> waiting; ///< records to be written, by file
    std::set<std::string> warned;                                ///< folders that could not be written

    void write(std::string const& file) {
        std::scoped_lock const writing(write_mutex);
        std::function<std::string()> record;
        {
            std::scoped_lock const lock(mutex);
            auto const at = waiting.find(file);
            if (at == waiting.end()) {
                return; // written by an earlier job
            }
            record = std::move(at->second);
            waiting.erase(at);
        }
        auto const written = save_state_file(file, record());
        if (written) {
            return;
        }
        std::unique_lock lock(mutex);
        auto const first = warned.insert(fs::path(file).parent_path().string()).second;
        lock.unlock();
        if (first) {
            log_warning({}, written.error().message + ": the counts of hosts will not survive a restart");
        }
    }
};

fleet_store::fleet_store(boost::asio::io_context& main, worker_pool& workers, std::string folder)
    : m_main(main)
    , m_workers(workers)
    , m_folder(std::move(folder))
    , m_shared(std::make_shared<shared>()) {}

void fleet_store::set_folder(std::string folder) {
    m_folder = std::move(folder);
}

std::string fleet_store::file_of(std::string const& image, info_hash const& hash) const {
    auto name = image.substr(0, longest_image_name);
    std::ranges::replace_if(
        name, [](char c) { return !is_safe_in_file_name(c); }, '_');
    return (fs::path(m_folder) / (name + "-" + hash.to_hex() + ".fleet")).string();
}

void fleet_store::save(std::string const& image, info_hash const& hash, std::function<std::string()> record) {
    auto file = file_of(image, hash);
    {
        std::scoped_lock const lock(m_shared->mutex);
        m_shared->waiting[file] = std::move(record);
    }
    m_workers.submit([shared = m_shared, file = std::move(file)] { shared->write(file); });
}

void fleet_store::load(std::string const& image, info_hash const& hash, record_handler receive) {
    m_workers.submit([&main = m_main, file = file_of(image, hash), receive = std::move(receive)] {
        boost::asio::post(main, [record = load_record(file), receive] { receive(record); });
    });
}

} // namespace seedbed
