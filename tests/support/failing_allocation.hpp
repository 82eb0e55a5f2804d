#pragma once

#include <cstdint>

namespace seedbed::test {

/// Makes allocations by `new` fail, on every thread but the one that makes this: from the \p first one on (0: the
/// next), \p count of them in a row. What goes through malloc() alone is left alone. One at a time.
///
/// A program that uses this has operators new and delete of its own.
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
