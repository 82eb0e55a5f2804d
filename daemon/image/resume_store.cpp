#include "daemon/image/resume_store.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libtorrent/hasher.hpp>
#include <nlohmann/json.hpp>

#include "core/foundation/hex_number.hpp"
#include "core/foundation/save_file.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int version = 1;
constexpr std::size_t largest_file = 64 << 20; ///< bytes: many times what the most pieces need
constexpr char const* default_folder = "/var/lib/seedbed";

std::string sha1(std::string const& text) {
    auto const hash = libtorrent::hasher(text.data(), static_cast<int>(text.size())).final();
    return to_hex({hash.data(), static_cast<std::size_t>(hash.size())});
}

/// Four pieces a hex digit, the first one in its highest bit.
std::string format_pieces(std::vector<bool> const& pieces) {
    std::string text((pieces.size() + 3) / 4, '0');
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned digit = 0;
        for (std::size_t bit = 0; bit < 4; ++bit) {
            auto const at = 4 * i + bit;
            digit = digit << 1 | static_cast<unsigned>(at < pieces.size() && pieces[at]);
        }
        text[i] = "0123456789abcdef"[digit];
    }
    return text;
}

std::optional<std::vector<bool>> parse_pieces(std::string const& text, std::size_t count) {
    if (count > 4 * largest_file || text.size() != (count + 3) / 4 || (count > 0 && !is_hex(text))) {
        return std::nullopt;
    }
    std::vector<bool> pieces(count);
    for (std::size_t at = 0; at < count; ++at) {
        auto const digit = static_cast<unsigned>(*parse_hex_number(std::string_view(text).substr(at / 4, 1)));
        pieces[at] = (digit >> (3 - at % 4) & 1) != 0;
    }
    return pieces;
}

json to_json(device_identity const& device) {
    return {{"block_device", device.block_device},
            {"size", device.size},
            {"serials", device.serials},
            {"start", device.start},
            {"disk_sequence", device.disk_sequence},
            {"boot", device.boot},
            {"sectors_written", device.sectors_written},
            {"file_system", device.file_system},
            {"inode", device.inode},
            {"born", device.born},
            {"changed", device.changed}};
}

/// Throws json::exception.
device_identity to_identity(json const& from) {
    device_identity device;
    from.at("block_device").get_to(device.block_device);
    from.at("size").get_to(device.size);
    from.at("serials").get_to(device.serials);
    from.at("start").get_to(device.start);
    from.at("disk_sequence").get_to(device.disk_sequence);
    from.at("boot").get_to(device.boot);
    from.at("sectors_written").get_to(device.sectors_written);
    from.at("file_system").get_to(device.file_system);
    from.at("inode").get_to(device.inode);
    from.at("born").get_to(device.born);
    from.at("changed").get_to(device.changed);
    return device;
}

/// Bytes that are no UTF-8, as a path may hold, must not make it throw.
std::string dump(json const& what) {
    return what.dump(1, ' ', true, json::error_handler_t::replace);
}

result<void> replace_file(fs::path const& path, std::string const& text) {
    std::error_code failed;
    fs::create_directories(path.parent_path(), failed);
    if (failed) {
        return tl::unexpected(errno_error(path.parent_path().string(), failed.value()));
    }
    return save_file(path, text, true, 0600);
}

result<std::optional<std::string>> read_file(std::string const& path) {
    unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return std::nullopt;
        }
        return tl::unexpected(errno_error(path, errno));
    }
    std::string text;
    std::string buffer(64 << 10, '\0');
    while (true) {
        auto const count = ::read(fd.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return tl::unexpected(errno_error(path, errno));
        }
        if (count == 0) {
            return text;
        }
        text.append(buffer, 0, static_cast<std::size_t>(count));
        if (text.size() > largest_file) {
            return tl::unexpected(error{path + ": is larger than a checkpoint can be"});
        }
    }
}

} // namespace

bool checkpoint::complete() const {
    return !pieces.empty() && std::ranges::find(pieces, false) == pieces.end();
}

result<void, io_error> flush_then_save(std::function<result<void, io_error>()> const& flush,
                                       std::function<void()> const& save) {
    auto flushed = flush();
    if (flushed) {
        save();
    }
    return flushed;
}

std::string format_checkpoint(checkpoint const& what) {
    json document = {{"version", version},
                     {"info_hash", what.info_hash},
                     {"device", what.device},
                     {"identity", to_json(what.identity)},
                     {"piece_count", what.pieces.size()},
                     {"pieces", format_pieces(what.pieces)},
                     {"verified", what.verified},
                     {"at_rest", what.at_rest},
                     {"time", what.time}};
    document["checksum"] = sha1(dump(document)); // keys are sorted: the same content gives the same text
    return dump(document) + "\n";
}

result<checkpoint> parse_checkpoint(std::string const& text) {
    auto document = json::parse(text, nullptr, false);
    if (!document.is_object()) {
        return tl::unexpected(error{"damaged: it is no JSON object"});
    }
    try {
        auto const written = document.at("version").get<int>();
        if (written != version) {
            return tl::unexpected(
                error{"of version " + std::to_string(written) + ", and not " + std::to_string(version)});
        }
        auto const checksum = document.at("checksum").get<std::string>();
        document.erase("checksum");
        if (sha1(dump(document)) != checksum) {
            return tl::unexpected(error{"damaged: its checksum is wrong"});
        }
        checkpoint found;
        document.at("info_hash").get_to(found.info_hash);
        document.at("device").get_to(found.device);
        found.identity = to_identity(document.at("identity"));
        auto pieces =
            parse_pieces(document.at("pieces").get<std::string>(), document.at("piece_count").get<std::size_t>());
        if (!pieces) {
            return tl::unexpected(error{"damaged: its pieces are not as many as it says"});
        }
        found.pieces = std::move(*pieces);
        document.at("verified").get_to(found.verified);
        document.at("at_rest").get_to(found.at_rest);
        document.at("time").get_to(found.time);
        return found;
    } catch (json::exception const&) {
        return tl::unexpected(error{"damaged: a key is missing, or of another type"});
    }
}

std::optional<std::string> why_unfit(checkpoint const& found, std::string const& info_hash, std::int32_t piece_count,
                                     std::string const& device, device_identity const& present) {
    if (found.info_hash != info_hash) {
        return "it is of the torrent " + found.info_hash;
    }
    if (found.pieces.size() != static_cast<std::size_t>(piece_count)) {
        return "it has " + std::to_string(found.pieces.size()) + " pieces and the torrent " +
               std::to_string(piece_count);
    }
    if (found.device != device) {
        return "it is of " + found.device;
    }
    if (auto other = why_other_device(found.identity, present)) {
        return "the device is not the same: " + *other;
    }
    if (found.at_rest && changed_since(found.identity, present) == device_change::written) {
        return "something else has written to the device since";
    }
    return std::nullopt;
}

// --- the store

resume_store::resume_store(std::string folder, std::function<void(std::string const&)> warn)
    : m_folder(std::move(folder))
    , m_warn(std::move(warn)) {}

void resume_store::set_folder(std::string folder) {
    std::scoped_lock const lock(m_mutex);
    if (folder != m_folder) {
        m_folder = std::move(folder);
        m_warned = false;
    }
}

std::string resume_store::file_of(std::string const& device) const {
    std::scoped_lock const lock(m_mutex);
    // The end of the path for people, its hash because two devices can have the same one.
    auto name = fs::path(device).filename().string().substr(0, 64);
    std::ranges::replace(name, '\n', '_');
    return (fs::path(m_folder) / (name + "-" + sha1(device).substr(0, 12) + ".resume")).string();
}

void resume_store::save(checkpoint const& what) {
    auto const path = file_of(what.device);
    std::scoped_lock const lock(m_write_mutex);
    if (auto const written = replace_file(path, format_checkpoint(what)); !written) {
        // What is there may be older, but not wrong.
        warn_once(written.error().message);
    }
}

result<std::optional<checkpoint>> resume_store::load(std::string const& device) const {
    auto const path = file_of(device);
    auto const text = read_file(path);
    if (!text) {
        return tl::unexpected(text.error());
    }
    if (!*text) {
        return std::nullopt;
    }
    auto found = parse_checkpoint(**text);
    if (!found) {
        return tl::unexpected(error{path + ": " + found.error().message});
    }
    return std::optional(std::move(*found));
}

void resume_store::remove(std::string const& device) {
    auto const path = file_of(device);
    std::scoped_lock const lock(m_write_mutex);
    if (::unlink(path.c_str()) == 0) {
        if (auto const folder = fs::path(path).parent_path(); !sync_folder(folder)) {
            warn_once(errno_error(folder.string(), errno).message);
        }
    } else if (errno != ENOENT && errno != ENOTDIR) {
        warn_once(errno_error(path, errno).message);
    }
}

void resume_store::warn_once(std::string const& reason) {
    {
        std::scoped_lock const lock(m_mutex);
        if (std::exchange(m_warned, true)) {
            return;
        }
    }
    m_warn(reason + ": deployments can not be resumed");
}

std::string state_folder(std::string const& configured) {
    if (!configured.empty()) {
        return configured;
    }
    auto const* const named = std::getenv("STATE_DIRECTORY");
    std::string const folders = named != nullptr ? named : "";
    auto const first = folders.substr(0, folders.find(':')); // systemd names several, one after another
    return first.starts_with('/') ? first : default_folder;
}

} // namespace seedbed
