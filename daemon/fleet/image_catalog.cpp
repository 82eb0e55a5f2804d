#include "daemon/fleet/image_catalog.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/foundation/printable.hpp"
#include "daemon/http/http_url.hpp"
#include "daemon/http/query_string.hpp"

namespace seedbed {

namespace {

/// The "format" of the list: incremented when a key changes its meaning or is removed.
constexpr int list_format = 1;
constexpr std::string_view list_path = "/images";
constexpr std::string_view torrent_suffix = ".torrent";
constexpr auto plain_text = "text/plain; charset=utf-8";
constexpr int http_bad_request = 400;
constexpr int http_missing = 404;

std::string_view path_in(std::string_view target) {
    return target.substr(0, target.find('?'));
}

/// The keys of a .torrent are sorted (BEP 3), so "announce" is the first one.
bool begins_with_tracker(std::string_view bytes) {
    return bytes.starts_with("d8:announce") || bytes.starts_with("d13:announce-list");
}

nlohmann::ordered_json to_json(catalog_image const& image, std::string const& server) {
    nlohmann::ordered_json entry;
    entry["name"] = image.name;
    entry["kind"] = image.packed_bytes ? "packed" : "raw";
    entry["source"] = nullptr;
    if (image.source != image_kind::unknown) {
        entry["source"] = to_string(image.source);
    }
    entry["bytes"] = image.bytes;
    entry["packed_bytes"] = nullptr;
    if (image.packed_bytes) {
        entry["packed_bytes"] = *image.packed_bytes;
    }
    entry["info_hash"] = image.info_hash.to_hex();
    entry["torrent"] = (server.empty() ? "" : "http://" + server) + std::string(list_path) + "/" + image.name +
                       std::string(torrent_suffix);
    return entry;
}

} // namespace

served_torrent::served_torrent(std::string bytes, bool has_tracker)
    : m_add_tracker(!has_tracker && bytes.starts_with('d') && !begins_with_tracker(bytes))
    , m_file(m_add_tracker ? bytes.substr(1) : std::move(bytes)) {}

http_response served_torrent::answer(http_request const& request, std::string const& name,
                                     std::string const& tracker) const {
    std::string head;
    if (m_add_tracker) {
        head = tracker.empty() ? "d" : "d8:announce" + std::to_string(tracker.size()) + ":" + tracker;
    }
    auto response = m_file.answer(request, "application/x-bittorrent", head);
    response.fields.emplace_back("Content-Disposition",
                                 "attachment; filename=\"" + name + std::string(torrent_suffix) + "\"");
    return response;
}

bool image_catalog::has(std::string const& target) {
    auto const path = path_in(target);
    return path == list_path || path.starts_with(std::string(list_path) + "/");
}

http_response image_catalog::answer(http_request const& request) const {
    auto const server = server_named_by(request);
    auto const path = path_in(request.target);
    if (path.size() <= list_path.size() + 1) {
        return {200, "application/json", list(server), {{"Cache-Control", "no-store"}}};
    }
    auto const name = percent_decoded(path.substr(list_path.size() + 1));
    if (!name) {
        return {http_bad_request, plain_text, "invalid percent-encoding\n"};
    }
    auto const* image =
        name->ends_with(torrent_suffix) ? find(name->substr(0, name->size() - torrent_suffix.size())) : nullptr;
    image = image != nullptr ? image : find(*name);
    if (image == nullptr) {
        return {http_missing, plain_text, "no image '" + printable(*name) + "' is served here; see /images\n"};
    }
    return image->torrent->answer(request, image->name, server.empty() ? "" : "http://" + server + "/announce");
}

std::string image_catalog::list(std::string const& server) const {
    auto images = nlohmann::ordered_json::array();
    for (auto const& each : m_images) {
        images.push_back(to_json(each, server));
    }
    return nlohmann::ordered_json{{"format", list_format}, {"images", std::move(images)}}.dump(2) + "\n";
}

catalog_image const* image_catalog::find(std::string const& name) const {
    auto const found = std::ranges::find(m_images, name, &catalog_image::name);
    return found == m_images.end() ? nullptr : &*found;
}

} // namespace seedbed
