#include "core/image/partclone_info.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include "core/foundation/format_count.hpp"
#include "core/foundation/hex_number.hpp"
#include "core/image/block_layout.hpp"
#include "core/image/input_file.hpp"

namespace seedbed {

namespace {

constexpr std::int64_t max_file_size = 1LL << 30;
constexpr std::size_t number_digits = 32;

/// Parses torrent.info line by line; finish() checks the whole.
class parser {
public:
    explicit parser(std::string const& name)
        : m_name(name) {}

    result<void> take_line(std::string_view line) {
        ++m_line;
        if (line.ends_with('\r')) {
            return refuse("the line ends in CR LF, and partclone writes LF");
        }
        auto const colon = line.find(": ");
        if (colon == std::string_view::npos) {
            return refuse("expected 'KEY: VALUE'");
        }
        auto const key = line.substr(0, colon);
        auto const value = line.substr(colon + 2);
        if (key == "offset") {
            return take_offset(value);
        }
        if (key == "length") {
            return take_length(value);
        }
        if (key == "sha1") {
            return take_hash(value);
        }
        if (key == "block_size") {
            return take_header(key, value, m_block_size);
        }
        if (key == "blocks_total") {
            return take_header(key, value, m_blocks_total);
        }
        return refuse("expected block_size, blocks_total, offset, length or sha1 before the colon");
    }

    result<partclone_info> finish() {
        if (m_offset) {
            return refuse("the last offset has no length");
        }
        if (m_extents.empty()) {
            return refuse_whole("no extent");
        }
        if (m_block_size && m_blocks_total) {
            if (*m_blocks_total > std::numeric_limits<std::int64_t>::max() / *m_block_size) {
                return refuse_whole("block_size times blocks_total does not fit in 63 bits");
            }
            auto const size = *m_block_size * *m_blocks_total;
            if (m_end > size) {
                m_line = m_last_extent_line;
                return refuse("the last extent ends at " + std::to_string(m_end) + ", beyond the file system's " +
                              std::to_string(size) + " bytes");
            }
        }
        auto map = extent_map::make(std::move(m_extents));
        if (!map) {
            return refuse_whole(map.error().message);
        }
        auto const total = map->total_size();
        auto const pieces = block_layout(byte_count{total}, byte_count{partclone_piece_length}).piece_count();
        if (static_cast<std::int64_t>(m_hashes.size()) != pieces) {
            return refuse_whole(format_count(m_hashes.size(), "sha1 line") + ", but " + format_count(total, "byte") +
                                " in pieces of 16 MiB need " + std::to_string(pieces));
        }
        return partclone_info{std::move(*map), std::move(m_hashes)};
    }

private:
    [[nodiscard]] tl::unexpected<error> refuse(std::string const& reason) const {
        return tl::unexpected(error{m_name + ":" + std::to_string(m_line) + ": " + reason});
    }

    [[nodiscard]] tl::unexpected<error> refuse_whole(std::string const& reason) const {
        return tl::unexpected(error{m_name + ": " + reason});
    }

    [[nodiscard]] result<std::int64_t> hex_value(std::string_view key, std::string_view value) const {
        auto const lowercase = std::none_of(value.begin(), value.end(), [](char c) { return c >= 'A' && c <= 'F'; });
        if (value.size() != number_digits || !is_hex(value) || !lowercase) {
            return refuse(std::string(key) + " is not 32 lowercase hex digits");
        }
        auto const number = parse_hex_number(value);
        if (!number) {
            return refuse(std::string(key) + " does not fit in 63 bits");
        }
        return *number;
    }

    result<void> take_offset(std::string_view value) {
        if (m_offset) {
            return refuse("a second offset before the length of the first");
        }
        auto const offset = hex_value("offset", value);
        if (!offset) {
            return tl::unexpected(offset.error());
        }
        if (*offset < m_end) {
            return refuse("the extent starts at " + std::to_string(*offset) +
                          ", before the end of the one before it, " + std::to_string(m_end));
        }
        m_offset = *offset;
        return {};
    }

    result<void> take_length(std::string_view value) {
        if (!m_offset) {
            return refuse("a length without an offset");
        }
        auto const length = hex_value("length", value);
        if (!length) {
            return tl::unexpected(length.error());
        }
        if (*length == 0) {
            return refuse("the extent has no length");
        }
        if (*length > std::numeric_limits<std::int64_t>::max() - *m_offset) {
            return refuse("the extent ends beyond 63 bits");
        }
        m_extents.push_back({*m_offset, *length});
        m_end = *m_offset + *length;
        m_last_extent_line = m_line;
        m_offset.reset();
        return {};
    }

    result<void> take_hash(std::string_view value) {
        sha1_digest digest{};
        if (value.size() != digest.size() * 2 || !is_hex(value)) {
            return refuse("sha1 is not 40 hex digits");
        }
        for (std::size_t i = 0; i < digest.size(); ++i) {
            digest[i] = static_cast<char>(*parse_hex_number(value.substr(i * 2, 2)));
        }
        if (digest == sha1_digest{}) {
            return refuse("sha1 is all zeros, which no piece has");
        }
        m_hashes.push_back(digest);
        return {};
    }

    result<void> take_header(std::string_view key, std::string_view value, std::optional<std::int64_t>& header) const {
        if (header) {
            return refuse("a second " + std::string(key));
        }
        std::int64_t number = 0;
        auto const* const end = value.data() + value.size();
        auto const [stop, ec] = std::from_chars(value.data(), end, number);
        if (ec != std::errc{} || stop != end || number <= 0) {
            return refuse(std::string(key) + " is not a positive whole number of at most 63 bits");
        }
        header = number;
        return {};
    }

    std::string const& m_name;
    std::int64_t m_line = 0;
    std::optional<std::int64_t> m_block_size;   ///< bytes
    std::optional<std::int64_t> m_blocks_total; ///< blocks of the file system
    std::optional<std::int64_t> m_offset;       ///< of the extent whose length has not been read yet
    std::vector<extent> m_extents;
    std::vector<sha1_digest> m_hashes;
    std::int64_t m_end = 0; ///< of the last extent
    std::int64_t m_last_extent_line = 0;
};

} // namespace

result<partclone_info> parse_partclone_info(std::string_view text, std::string const& name) {
    parser lines(name);
    while (!text.empty()) {
        auto const end = std::min(text.find('\n'), text.size());
        if (auto taken = lines.take_line(text.substr(0, end)); !taken) {
            return tl::unexpected(std::move(taken.error()));
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines.finish();
}

result<partclone_info> load_partclone_info(std::filesystem::path const& path) {
    auto const text = read_input_file(path, max_file_size);
    if (!text) {
        return tl::unexpected(text.error());
    }
    return parse_partclone_info(*text, path.string());
}

} // namespace seedbed
