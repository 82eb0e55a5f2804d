// A partclone image: refused with one line, or used blocks that lie in the file system and add up.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/image/partclone_image.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

namespace {

class fuzz_source final : public byte_source {
public:
    explicit fuzz_source(std::string bytes)
        : m_bytes(std::move(bytes)) {}

    [[nodiscard]] std::string const& name() const noexcept override { return m_name; }
    [[nodiscard]] result<std::size_t> read(std::span<std::byte> buffer) override {
        auto const count = std::min(buffer.size(), m_bytes.size() - m_at);
        std::memcpy(buffer.data(), m_bytes.data() + m_at, count);
        m_at += count;
        return count;
    }

private:
    std::string m_name = "fuzz";
    std::string m_bytes;
    std::size_t m_at = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    fuzz_source source(input.rest());
    auto image = partclone_image::open(source);
    if (!image) {
        fuzz::require_line(image.error().message);
        return 0;
    }
    std::int64_t end = 0;
    for (auto const& part : image->used()) {
        fuzz::require(part.device_offset >= end && part.length > 0);
        end = part.device_offset + part.length;
    }
    fuzz::require(end <= image->size());
    std::vector<std::byte> buffer(4096);
    std::int64_t sum = 0;
    for (;;) {
        auto const run = image->next(buffer);
        if (!run) {
            fuzz::require_line(run.error().message);
            return 0;
        }
        if (!*run) {
            break;
        }
        sum += static_cast<std::int64_t>((*run)->length);
    }
    fuzz::require(sum == image->used_bytes());
    return 0;
}
