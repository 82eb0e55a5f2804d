#pragma once

#include <cstdint>

namespace seedbed::test {

/// Makes allocations by `new` fail, on every thread except the one that creates this: from the \p first one on (0: the
/// next), \p count of them in a row. Does not affect malloc(). Only one object may exist at a time.
///
/// A program that uses this has its own operators new and delete.
class failing_allocations {
public:
    failing_allocations(std::int64_t first, std::int64_t count);
    failing_allocations(failing_allocations const&) = delete;
    failing_allocations& operator=(failing_allocations const&) = delete;
    ~failing_allocations();

    /// How many have failed so far.
    [[nodiscard]] std::int64_t failed() const noexcept;
};

} // namespace seedbed::test
